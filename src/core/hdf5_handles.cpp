// HDF5 errors as exceptions, its element types, and the handles that everything else works on.
// HDF5 prints errors by itself unless told not to, and keeps the reasons on a stack of its own:
// every entry takes Lock, which silences the printing, and reason() reads that stack.
#include <algorithm>

#include "src/core/hdf5_internal.h"

namespace bovila::hdf5 {

using namespace internal;

namespace {

std::recursive_mutex& process_lock() {
  static std::recursive_mutex mutex;
  return mutex;
}

std::optional<Type> classify_float(hid_t type) {
  size_t sign = 0, exponent = 0, exponent_size = 0, mantissa = 0, mantissa_size = 0;
  H5Tget_fields(type, &sign, &exponent, &exponent_size, &mantissa, &mantissa_size);
  switch (H5Tget_size(type)) {
    case 2:
      if (exponent_size == 5 && mantissa_size == 10) return Type::kFloat16;
      if (exponent_size == 8 && mantissa_size == 7) return Type::kBFloat16;
      return std::nullopt;
    case 4:
      return Type::kFloat32;
    case 8:
      return Type::kFloat64;
    default:
      return std::nullopt;
  }
}

/// A 2-byte float made as h5py makes it, so that both programs see the same type in a file.
Handle make_float16(size_t exponent_size, size_t mantissa_size, size_t exponent_bias) {
  Handle type = checked(H5Tcopy(H5T_IEEE_F32LE), H5Tclose, "HDF5 half type");
  check(H5Tset_fields(type.get(), 15, mantissa_size, exponent_size, 0, mantissa_size),
        "HDF5 half type");
  check(H5Tset_size(type.get(), 2), "HDF5 half type");
  check(H5Tset_ebias(type.get(), exponent_bias), "HDF5 half type");
  return type;
}

}  // namespace

namespace internal {

std::string reason() {
  std::vector<std::string> entries;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_DOWNWARD,
      [](unsigned, const H5E_error2_t* entry, void* out) -> herr_t {
        static_cast<std::vector<std::string>*>(out)->emplace_back(entry->desc);
        return 0;
      },
      &entries);
  if (entries.empty()) return "HDF5 gives no reason";
  if (entries.size() == 1) return entries.front();
  return entries.front() + ": " + entries.back();
}

std::string place(hid_t where, const std::string& path) {
  const ssize_t size = H5Fget_name(where, nullptr, 0);
  std::string file(size > 0 ? static_cast<size_t>(size) : 0, '\0');
  if (size > 0) H5Fget_name(where, file.data(), file.size() + 1);
  return fmt::format("{}: {}", file, path);
}

Handle checked(hid_t id, Handle::Closer close, const std::string& what) {
  if (id < 0) throw ProgramError("{}: {}", what, reason());
  return {id, close};
}

void check(herr_t status, const std::string& what) {
  if (status < 0) throw ProgramError("{}: {}", what, reason());
}

void check_read(herr_t status, const std::string& what) {
  if (status < 0) {
    throw UserError("{}: cannot be read ({}). The file is damaged or cut short", what, reason());
  }
}

std::vector<hsize_t> shape_of(hid_t space) {
  const int rank = H5Sget_simple_extent_ndims(space);
  std::vector<hsize_t> shape(static_cast<size_t>(std::max(rank, 0)));
  if (rank > 0) H5Sget_simple_extent_dims(space, shape.data(), nullptr);
  return shape;
}

Handle open_dataset(hid_t where, const std::string& path) {
  const std::string what = place(where, path);
  if (!exists(where, path)) throw UserError("{}: expected a dataset, there is none", what);
  const hid_t id = H5Dopen2(where, path.c_str(), H5P_DEFAULT);
  if (id < 0) throw UserError("{}: expected a dataset ({})", what, reason());
  return {id, H5Dclose};
}

Handle make_dataset(hid_t where, const std::string& path, hid_t type,
                    std::span<const int64_t> shape) {
  const std::string what = place(where, path);
  const std::vector<hsize_t> dimensions(shape.begin(), shape.end());
  const Handle space = checked(
      dimensions.empty()
          ? H5Screate(H5S_SCALAR)
          : H5Screate_simple(static_cast<int>(dimensions.size()), dimensions.data(), nullptr),
      H5Sclose, what);
  make_groups(where, path);
  const Handle properties = properties_to_make(H5P_DATASET_CREATE);
  return checked(H5Dcreate2(where, path.c_str(), type, space.get(), H5P_DEFAULT, properties.get(),
                            H5P_DEFAULT),
                 H5Dclose, what);
}

std::optional<Type> classify(hid_t type) {
  if (H5Tget_class(type) == H5T_FLOAT) return classify_float(type);
  if (H5Tget_class(type) != H5T_INTEGER) return std::nullopt;
  const bool is_signed = H5Tget_sign(type) == H5T_SGN_2;
  if (H5Tget_size(type) == 8) return is_signed ? Type::kInt64 : Type::kUInt64;
  if (H5Tget_size(type) == 1 && !is_signed) return Type::kUInt8;
  return std::nullopt;
}

}  // namespace internal

Lock::Lock() : lock_(process_lock()) {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

Handle& Handle::operator=(Handle&& other) noexcept {
  if (this != &other) {
    reset();
    id_ = std::exchange(other.id_, H5I_INVALID_HID);
    close_ = other.close_;
  }
  return *this;
}

void Handle::reset() noexcept {
  if (id_ < 0) return;
  const Lock lock;
  close_(std::exchange(id_, H5I_INVALID_HID));
}

Handle make_type(Type type) {
  const Lock lock;
  const auto copy = [](hid_t id) { return checked(H5Tcopy(id), H5Tclose, "HDF5 type"); };
  switch (type) {
    case Type::kFloat16:
      return make_float16(5, 10, 15);
    case Type::kBFloat16:
      return make_float16(8, 7, 127);
    case Type::kFloat32:
      return copy(H5T_IEEE_F32LE);
    case Type::kFloat64:
      return copy(H5T_IEEE_F64LE);
    case Type::kInt64:
      return copy(H5T_STD_I64LE);
    case Type::kUInt8:
      return copy(H5T_STD_U8LE);
    case Type::kUInt64:
      return copy(H5T_STD_U64LE);
  }
  throw ProgramError("hdf5::Type {} is none", static_cast<int>(type));
}

size_t size_of(Type type) {
  switch (type) {
    case Type::kUInt8:
      return 1;
    case Type::kFloat16:
    case Type::kBFloat16:
      return 2;
    case Type::kFloat32:
      return 4;
    case Type::kFloat64:
    case Type::kInt64:
    case Type::kUInt64:
      return 8;
  }
  throw ProgramError("hdf5::Type {} is none", static_cast<int>(type));
}

}  // namespace bovila::hdf5
