// HDF5 files, groups and datasets of numbers.
// Fed by the feature store, checkpoints and the golden tests; src/core/hdf5_handles.cpp has the
// errors and types, src/core/hdf5_text.cpp strings and attributes.
#include <filesystem>
#include <functional>
#include <numeric>

#include "src/core/hdf5_internal.h"

namespace bovila::hdf5 {

using namespace internal;

namespace {

bool is_root(const std::string& path) {
  return path.empty() || path == "/" || path == ".";
}

size_t bytes_of(const std::vector<hsize_t>& shape, Type type) {
  return std::accumulate(shape.begin(), shape.end(), size_of(type), std::multiplies<>());
}

/// A dataset with rows [first, first + count) of it selected, and memory for exactly those.
struct RowSelection {
  Handle dataset;
  Handle file_space;
  Handle memory_space;
};

RowSelection select_rows(hid_t where, const std::string& path, Type type, int64_t first,
                         int64_t count, size_t num_bytes) {
  const std::string what = place(where, path);
  RowSelection selection;
  selection.dataset = open_dataset(where, path);
  selection.file_space = checked(H5Dget_space(selection.dataset.get()), H5Sclose, what);
  std::vector<hsize_t> shape = shape_of(selection.file_space.get());
  BOVILA_CHECK(!shape.empty(), "{} has no rows", what);
  const auto num_rows = static_cast<int64_t>(shape[0]);
  BOVILA_CHECK(first >= 0 && count >= 0 && first <= num_rows && count <= num_rows - first,
               "{}: {} rows from {} on, of {}", what, count, first, num_rows);
  shape[0] = static_cast<hsize_t>(count);
  BOVILA_CHECK(bytes_of(shape, type) == num_bytes, "{}: {} bytes for rows of {}", what, num_bytes,
               bytes_of(shape, type));
  std::vector<hsize_t> start(shape.size(), 0);
  start[0] = static_cast<hsize_t>(first);
  check(H5Sselect_hyperslab(selection.file_space.get(), H5S_SELECT_SET, start.data(), nullptr,
                            shape.data(), nullptr),
        what);
  selection.memory_space = checked(
      H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), H5Sclose, what);
  return selection;
}

/// HDF5 takes flock() for itself and fails where there is none, as on many shared file systems.
/// Nothing here writes to a file that is read, or to another writer's.
void go_without_locks(const Handle& access, const std::string& what) {
  check(H5Pset_file_locking(access.get(), false, true), what);
}

}  // namespace

Handle open_file(const std::string& path) {
  const Lock lock;
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    throw UserError("{}: expected an HDF5 file, there is none", path);
  }
  const Handle access = checked(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, path);
  go_without_locks(access, path);
  const hid_t id = H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get());
  if (id < 0) throw UserError("{}: expected an HDF5 file ({})", path, reason());
  return {id, H5Fclose};
}

Handle access_to_make() {
  const Lock lock;
  Handle access = checked(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "a new file");
  check(H5Pset_libver_bounds(access.get(), H5F_LIBVER_V18, H5F_LIBVER_V18), "a new file");
  go_without_locks(access, "a new file");
  return access;
}

Handle properties_to_make(hid_t kind) {
  const Lock lock;
  Handle properties = checked(H5Pcreate(kind), H5Pclose, "a new object");
  check(H5Pset_obj_track_times(properties.get(), false), "a new object");
  return properties;
}

void make_groups(hid_t where, const std::string& path) {
  const Lock lock;
  const Handle properties = properties_to_make(H5P_GROUP_CREATE);
  for (size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1)) {
    const std::string group = path.substr(0, end);
    if (exists(where, group)) continue;
    checked(H5Gcreate2(where, group.c_str(), H5P_DEFAULT, properties.get(), H5P_DEFAULT), H5Gclose,
            place(where, group));
  }
}

Handle create_file(const std::string& path) {
  const Lock lock;
  const Handle access = access_to_make(), properties = properties_to_make(H5P_FILE_CREATE);
  return checked(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, properties.get(), access.get()), H5Fclose,
                 path);
}

void flush(const Handle& file) {
  const Lock lock;
  const std::string what = place(file.get(), "writing");
  check(H5Fflush(file.get(), H5F_SCOPE_GLOBAL), what);
}

bool exists(hid_t where, const std::string& path) {
  const Lock lock;
  if (is_root(path)) return true;
  // H5Lexists fails, rather than says no, when a group on the way is missing.
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    if (H5Lexists(where, path.substr(0, end).c_str(), H5P_DEFAULT) <= 0) return false;
    if (end == std::string::npos) break;
  }
  return H5Oexists_by_name(where, path.c_str(), H5P_DEFAULT) > 0;
}

std::vector<std::string> list(hid_t where, const std::string& path) {
  const Lock lock;
  const std::string name = path.empty() ? "." : path;
  const std::string what = place(where, name);
  if (!exists(where, name)) throw UserError("{}: expected a group, there is none", what);
  std::vector<std::string> names;
  const auto collect = [](hid_t, const char* link, const H5L_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(link);
    return 0;
  };
  const herr_t status = H5Literate_by_name(where, name.c_str(), H5_INDEX_NAME, H5_ITER_INC, nullptr,
                                           collect, &names, H5P_DEFAULT);
  if (status < 0) throw UserError("{}: expected a group ({})", what, reason());
  return names;
}

std::vector<std::string> list_datasets(hid_t where) {
  const Lock lock;
  const std::string what = place(where, "/");
  std::vector<std::string> links;
  const auto collect = [](hid_t, const char* link, const H5L_info_t* info, void* out) -> herr_t {
    if (info->type == H5L_TYPE_HARD)
      static_cast<std::vector<std::string>*>(out)->emplace_back(link);
    return 0;
  };
  if (H5Lvisit(where, H5_INDEX_NAME, H5_ITER_INC, collect, &links) < 0) {
    throw UserError("{}: its contents cannot be listed ({})", what, reason());
  }
  std::erase_if(links, [&](const std::string& link) {
    const hid_t id = H5Oopen(where, link.c_str(), H5P_DEFAULT);
    if (id < 0) throw UserError("{}: '{}' cannot be opened ({})", what, link, reason());
    const Handle object(id, H5Oclose);
    return H5Iget_type(id) != H5I_DATASET;
  });
  return links;
}

DatasetInfo describe(hid_t where, const std::string& path) {
  const Lock lock;
  const std::string what = place(where, path);
  const Handle dataset = open_dataset(where, path);
  const Handle space = checked(H5Dget_space(dataset.get()), H5Sclose, what);
  const Handle type = checked(H5Dget_type(dataset.get()), H5Tclose, what);
  const std::optional<Type> known = classify(type.get());
  if (!known) {
    throw UserError(
        "{}: expected half, bfloat16, float, double, int64, uint8 or uint64 elements, "
        "got another type of {} bytes",
        what, H5Tget_size(type.get()));
  }
  const std::vector<hsize_t> shape = shape_of(space.get());
  return {{shape.begin(), shape.end()}, *known};
}

void read(hid_t where, const std::string& path, Type type, std::span<std::byte> out) {
  const Lock lock;
  const std::string what = place(where, path);
  const Handle dataset = open_dataset(where, path);
  const Handle space = checked(H5Dget_space(dataset.get()), H5Sclose, what);
  const size_t expected = bytes_of(shape_of(space.get()), type);
  BOVILA_CHECK(expected == out.size(), "{}: {} bytes for a dataset of {}", what, out.size(),
               expected);
  if (out.empty()) return;
  check_read(
      H5Dread(dataset.get(), make_type(type).get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, out.data()),
      what);
}

void read_rows(hid_t where, const std::string& path, Type type, int64_t first, int64_t count,
               std::span<std::byte> out) {
  const Lock lock;
  const std::string what = place(where, path);
  const RowSelection rows = select_rows(where, path, type, first, count, out.size());
  if (out.empty()) return;
  check_read(H5Dread(rows.dataset.get(), make_type(type).get(), rows.memory_space.get(),
                     rows.file_space.get(), H5P_DEFAULT, out.data()),
             what);
}

void write(hid_t where, const std::string& path, Type type, std::span<const int64_t> shape,
           std::span<const std::byte> data) {
  const Lock lock;
  const std::string what = place(where, path);
  const std::vector<hsize_t> dimensions(shape.begin(), shape.end());
  BOVILA_CHECK(bytes_of(dimensions, type) == data.size(), "{}: {} bytes for a dataset of {}", what,
               data.size(), bytes_of(dimensions, type));
  const Handle memory_type = make_type(type);
  const Handle dataset = make_dataset(where, path, memory_type.get(), shape);
  if (data.empty()) return;
  check(H5Dwrite(dataset.get(), memory_type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, data.data()),
        what);
}

void create_dataset(hid_t where, const std::string& path, Type type,
                    std::span<const int64_t> shape) {
  const Lock lock;
  make_dataset(where, path, make_type(type).get(), shape);
}

void write_rows(hid_t where, const std::string& path, Type type, int64_t first, int64_t count,
                std::span<const std::byte> data) {
  const Lock lock;
  const std::string what = place(where, path);
  const RowSelection rows = select_rows(where, path, type, first, count, data.size());
  if (data.empty()) return;
  check(H5Dwrite(rows.dataset.get(), make_type(type).get(), rows.memory_space.get(),
                 rows.file_space.get(), H5P_DEFAULT, data.data()),
        what);
}

}  // namespace bovila::hdf5
