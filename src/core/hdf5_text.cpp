// HDF5 strings of either kind (fixed or variable length) and attributes.
// Fed by the golden files (h5py) and feature sets; errors come from src/core/hdf5_handles.cpp.
#include <algorithm>
#include <array>
#include <cstring>
#include <functional>

#include "src/core/hdf5_internal.h"

namespace bovila::hdf5 {

using namespace internal;

namespace {

Handle make_string_type() {
  Handle type = checked(H5Tcopy(H5T_C_S1), H5Tclose, "HDF5 string type");
  check(H5Tset_size(type.get(), H5T_VARIABLE), "HDF5 string type");
  check(H5Tset_cset(type.get(), H5T_CSET_UTF8), "HDF5 string type");
  return type;
}

/// Strings out of either kind of HDF5 string. `read` is H5Aread or H5Dread, given type and buffer.
std::vector<std::string> read_string_values(hid_t type, size_t count, const std::string& what,
                                            const std::function<herr_t(hid_t, void*)>& read) {
  std::vector<std::string> values;
  if (H5Tis_variable_str(type) > 0) {
    std::vector<char*> pointers(count, nullptr);
    check_read(read(type, pointers.data()), what);
    for (char* pointer : pointers) {
      values.emplace_back(pointer == nullptr ? "" : pointer);
      H5free_memory(pointer);
    }
    return values;
  }
  const size_t size = H5Tget_size(type);
  std::vector<char> bytes(size * count);
  check_read(read(type, bytes.data()), what);
  for (size_t i = 0; i < count; ++i) {
    const char* begin = bytes.data() + i * size;
    std::string value(begin, strnlen(begin, size));
    if (H5Tget_strpad(type) == H5T_STR_SPACEPAD) value.erase(value.find_last_not_of(' ') + 1);
    values.push_back(std::move(value));
  }
  return values;
}

struct Attribute {
  Handle handle;
  Handle type;
  size_t count = 0;
  std::string what;  // file, object and attribute, for messages

  bool is_integer() const {  // h5py writes booleans as an enumeration
    const H5T_class_t kind = H5Tget_class(type.get());
    return kind == H5T_INTEGER || kind == H5T_ENUM;
  }
};

Attribute open_attribute(hid_t where, const std::string& path, const std::string& name) {
  Attribute attribute;
  attribute.what = fmt::format("{}: attribute {}", place(where, path), name);
  if (!has_attribute(where, path, name)) throw UserError("{}: is missing", attribute.what);
  attribute.handle =
      checked(H5Aopen_by_name(where, path.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT),
              H5Aclose, attribute.what);
  attribute.type = checked(H5Aget_type(attribute.handle.get()), H5Tclose, attribute.what);
  const Handle space = checked(H5Aget_space(attribute.handle.get()), H5Sclose, attribute.what);
  attribute.count =
      static_cast<size_t>(std::max<hssize_t>(H5Sget_simple_extent_npoints(space.get()), 0));
  return attribute;
}

Attribute open_single_attribute(hid_t where, const std::string& path, const std::string& name) {
  Attribute attribute = open_attribute(where, path, name);
  if (attribute.count != 1) {
    throw UserError("{}: expected one value, got {}", attribute.what, attribute.count);
  }
  return attribute;
}

void write_scalar_attribute(hid_t where, const std::string& path, const std::string& name,
                            hid_t type, const void* value) {
  const Lock lock;
  const std::string what = fmt::format("{}: attribute {}", place(where, path), name);
  if (has_attribute(where, path, name)) {
    check(H5Adelete_by_name(where, path.c_str(), name.c_str(), H5P_DEFAULT), what);
  }
  const Handle space = checked(H5Screate(H5S_SCALAR), H5Sclose, what);
  const Handle attribute =
      checked(H5Acreate_by_name(where, path.c_str(), name.c_str(), type, space.get(), H5P_DEFAULT,
                                H5P_DEFAULT, H5P_DEFAULT),
              H5Aclose, what);
  check(H5Awrite(attribute.get(), type, value), what);
}

}  // namespace

void write_strings(hid_t where, const std::string& path, std::span<const std::string> values) {
  const Lock lock;
  const std::string what = place(where, path);
  const std::array<int64_t, 1> shape{static_cast<int64_t>(values.size())};
  const Handle type = make_string_type();
  const Handle dataset = make_dataset(where, path, type.get(), shape);
  if (values.empty()) return;
  std::vector<const char*> pointers(values.size());
  std::transform(values.begin(), values.end(), pointers.begin(),
                 [](const std::string& value) { return value.c_str(); });
  check(H5Dwrite(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()), what);
}

std::vector<std::string> read_strings(hid_t where, const std::string& path) {
  const Lock lock;
  const std::string what = place(where, path);
  const Handle dataset = open_dataset(where, path);
  const Handle space = checked(H5Dget_space(dataset.get()), H5Sclose, what);
  const Handle type = checked(H5Dget_type(dataset.get()), H5Tclose, what);
  const std::vector<hsize_t> shape = shape_of(space.get());
  if (H5Tget_class(type.get()) != H5T_STRING || shape.size() != 1) {
    throw UserError("{}: expected a list of strings", what);
  }
  if (shape[0] == 0) return {};
  hsize_t file_bytes = 0;
  check(H5Fget_filesize(where, &file_bytes), what);
  if (shape[0] > file_bytes) {
    throw UserError("{}: {} strings in a file of {} bytes: it is damaged", what, shape[0],
                    file_bytes);
  }
  return read_string_values(type.get(), shape[0], what, [&](hid_t as, void* out) {
    return H5Dread(dataset.get(), as, H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
  });
}

bool has_attribute(hid_t where, const std::string& path, const std::string& name) {
  const Lock lock;
  return exists(where, path) &&
         H5Aexists_by_name(where, path.c_str(), name.c_str(), H5P_DEFAULT) > 0;
}

std::string read_string_attribute(hid_t where, const std::string& path, const std::string& name) {
  const Lock lock;
  const Attribute attribute = open_single_attribute(where, path, name);
  if (H5Tget_class(attribute.type.get()) != H5T_STRING) {
    throw UserError("{}: expected a string", attribute.what);
  }
  return read_string_values(
             attribute.type.get(), 1, attribute.what,
             [&](hid_t as, void* out) { return H5Aread(attribute.handle.get(), as, out); })
      .front();
}

double read_number_attribute(hid_t where, const std::string& path, const std::string& name) {
  const Lock lock;
  const Attribute attribute = open_single_attribute(where, path, name);
  if (!attribute.is_integer() && H5Tget_class(attribute.type.get()) != H5T_FLOAT) {
    throw UserError("{}: expected a number", attribute.what);
  }
  double value = 0;
  check_read(H5Aread(attribute.handle.get(), H5T_NATIVE_DOUBLE, &value), attribute.what);
  return value;
}

int64_t read_int_attribute(hid_t where, const std::string& path, const std::string& name) {
  const Lock lock;
  const std::vector<int64_t> values = read_ints_attribute(where, path, name);
  if (values.size() == 1) return values.front();
  throw UserError("{}: attribute {}: expected one value, got {}", place(where, path), name,
                  values.size());
}

std::vector<int64_t> read_ints_attribute(hid_t where, const std::string& path,
                                         const std::string& name) {
  const Lock lock;
  const Attribute attribute = open_attribute(where, path, name);
  if (!attribute.is_integer()) throw UserError("{}: expected integers", attribute.what);
  std::vector<int64_t> values(attribute.count);
  if (!values.empty()) {
    check_read(H5Aread(attribute.handle.get(), H5T_NATIVE_INT64, values.data()), attribute.what);
  }
  return values;
}

void write_attribute(hid_t where, const std::string& path, const std::string& name,
                     const std::string& value) {
  const Lock lock;
  const char* text = value.c_str();
  write_scalar_attribute(where, path, name, make_string_type().get(), &text);
}

void write_attribute(hid_t where, const std::string& path, const std::string& name, int64_t value) {
  const Lock lock;
  write_scalar_attribute(where, path, name, H5T_NATIVE_INT64, &value);
}

void write_attribute(hid_t where, const std::string& path, const std::string& name, double value) {
  const Lock lock;
  write_scalar_attribute(where, path, name, H5T_NATIVE_DOUBLE, &value);
}

}  // namespace bovila::hdf5
