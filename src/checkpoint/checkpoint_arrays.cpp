// state.h5 in memory, by HDF5's core driver.
// Not by hdf5::create_file: when the disk is full HDF5 can neither finish nor close its file, and
// keeps the space until the process ends; and the hash should be of the bytes that were meant.
#include <hdf5.h>

#include <algorithm>
#include <set>

#include "bovila/core/error.h"
#include "bovila/core/hdf5.h"
#include "src/checkpoint/checkpoint_format.h"

namespace bovila::checkpoint_format {
namespace {

using hdf5::Handle;

constexpr size_t kMetadataBytes = size_t{1} << 20;

void check(bool succeeded, const char* action) {
  if (!succeeded) throw ProgramError("{}: HDF5 cannot {} in memory", kArraysName, action);
}

Handle owned(hid_t id, Handle::Closer close, const char* action) {
  check(id >= 0, action);
  return {id, close};
}

/// A file that lives in memory only and grows by `increment` bytes.
Handle in_memory(Handle access, size_t increment) {
  check(H5Pset_fapl_core(access.get(), increment, false) >= 0, "choose memory");
  return access;
}

std::string dataset_of(const std::string& name) {
  return name.find('/') == std::string::npos ? "parameters/" + name : name;
}

void check_array(const NamedArray& array, std::set<std::string>& datasets) {
  BOVILA_CHECK(is_array_name(array.name), "array '{}': a checkpoint cannot have this name",
               array.name);
  BOVILA_CHECK(datasets.insert(dataset_of(array.name)).second, "array {}: two have this name",
               array.name);
  const int64_t expected = num_elements(array.shape);
  BOVILA_CHECK(expected == static_cast<int64_t>(array.values.size()),
               "array {}: {} values for a shape of {}", array.name, array.values.size(), expected);
}

void write_array(hid_t file, const NamedArray& array) {
  const std::vector<hsize_t> shape(array.shape.begin(), array.shape.end());
  const Handle space =
      owned(shape.empty() ? H5Screate(H5S_SCALAR)
                          : H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr),
            H5Sclose, "make a shape");
  hdf5::make_groups(file, dataset_of(array.name));
  const Handle properties = hdf5::properties_to_make(H5P_DATASET_CREATE);
  const Handle type = hdf5::make_type(hdf5::Type::kFloat32);
  const Handle dataset = owned(H5Dcreate2(file, dataset_of(array.name).c_str(), type.get(),
                                          space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT),
                               H5Dclose, "make a dataset");
  if (array.values.empty()) return;
  check(
      H5Dwrite(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, array.values.data()) >= 0,
      "write a dataset");
}

std::string image_of(const Handle& file) {
  check(H5Fflush(file.get(), H5F_SCOPE_GLOBAL) >= 0, "finish the file");
  const ssize_t size = H5Fget_file_image(file.get(), nullptr, 0);
  check(size > 0, "give the file's size");
  // Not by H5Fget_file_image: it clears a flag that the superblock's checksum covers.
  void* handle = nullptr;
  check(H5Fget_vfd_handle(file.get(), H5P_DEFAULT, &handle) >= 0, "give the file");
  return {*static_cast<const char**>(handle), static_cast<size_t>(size)};
}

/// Damage to a file in HDF5's format before 1.8, whose metadata have no checksums, can end the
/// process inside HDF5. write_arrays makes none such.
void require_checksums(std::string_view image, const std::string& path) {
  constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
  constexpr char kFirstWithChecksums = 2;
  if (image.size() <= kSignature.size() || !image.starts_with(kSignature) ||
      image[kSignature.size()] < kFirstWithChecksums) {
    throw UserError("{}: expected an HDF5 file with checksums (superblock 2 or later)", path);
  }
}

Handle open_image(std::string_view image, const std::string& path) {
  require_checksums(image, path);
  const Handle access =
      in_memory(owned(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "choose memory"), kMetadataBytes);
  std::string copy(image);  // HDF5 wants it writable, and copies it once more
  check(H5Pset_file_image(access.get(), copy.data(), copy.size()) >= 0, "take the file");
  // HDF5 refuses an image under the name of a file that is there; with the slash none can be.
  const hid_t id = H5Fopen((path + "/").c_str(), H5F_ACC_RDONLY, access.get());
  if (id < 0) throw UserError("{}: expected an HDF5 file, and HDF5 cannot open it", path);
  return {id, H5Fclose};
}

void read_array(hid_t file, const std::string& path, size_t file_bytes, NamedArray& array) {
  const std::string dataset = dataset_of(array.name);
  const hdf5::DatasetInfo info = hdf5::describe(file, dataset);
  if (info.shape != array.shape || info.type != hdf5::Type::kFloat32) {
    throw UserError("{}: {}: its shape or type is not what {} says", path, dataset, kProgressName);
  }
  const int64_t count = num_elements(info.shape);
  if (count < 0 || static_cast<uint64_t>(count) > file_bytes / sizeof(float)) {
    throw UserError("{}: {}: it is larger than the file", path, dataset);
  }
  array.values.resize(static_cast<size_t>(count));
  hdf5::read(file, dataset, hdf5::Type::kFloat32, std::as_writable_bytes(std::span(array.values)));
}

}  // namespace

bool is_array_name(std::string_view name) {
  if (name.empty() || name.starts_with("parameters/")) return false;
  if (!std::ranges::all_of(name, [](char c) { return c > 0x20 && c < 0x7f; })) return false;
  while (true) {
    const size_t slash = name.find('/');
    const std::string_view part = name.substr(0, slash);
    if (part.empty() || part == ".") return false;
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
  }
}

int64_t num_elements(std::span<const int64_t> shape) {
  int64_t count = 1;
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(count, size, &count)) return -1;
  }
  return count;
}

std::string write_arrays(std::span<const NamedArray> arrays) {
  size_t bytes = kMetadataBytes;
  std::set<std::string> datasets;
  for (const NamedArray& array : arrays) {
    check_array(array, datasets);
    bytes += array.values.size() * sizeof(float);
  }
  const hdf5::Lock lock;
  const Handle access = in_memory(hdf5::access_to_make(), bytes);
  const Handle properties = hdf5::properties_to_make(H5P_FILE_CREATE);
  const Handle file = owned(H5Fcreate(kArraysName, H5F_ACC_TRUNC, properties.get(), access.get()),
                            H5Fclose, "make a file");
  for (const NamedArray& array : arrays) write_array(file.get(), array);
  return image_of(file);
}

void read_arrays(std::string_view image, const std::string& path, std::vector<NamedArray>& arrays) {
  const hdf5::Lock lock;
  try {
    const Handle file = open_image(image, path);
    for (NamedArray& array : arrays) read_array(file.get(), path, image.size(), array);
  } catch (const ProgramError& error) {  // HDF5 fails in more ways than core/hdf5.h lays at a file
    throw UserError("{}: cannot be read: {}", path, error.what());
  }
}

}  // namespace bovila::checkpoint_format
