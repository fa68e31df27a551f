// HDF5's C interface with owned handles and errors as exceptions.
// Fed by the feature store, checkpoints and the golden tests. HDF5 is built without thread safety
// on most systems: every function here takes one process-wide lock (see Lock) around the C calls.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

using hid_t = int64_t;  // HDF5's own name for its identifiers: hdf5.h declares the same

namespace bovila::hdf5 {

/// Held while HDF5 is called, so that calls are made from one thread at a time. Recursive: a
/// function that holds it may call another of this file.
class Lock {
 public:
  Lock();

 private:
  std::unique_lock<std::recursive_mutex> lock_;
};

/// Owns an hid_t of any kind and closes it with its own closer. Movable, not copyable.
class Handle {
 public:
  using Closer = int (*)(hid_t);
  Handle() = default;
  Handle(hid_t id, Closer close) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, kNone)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept;
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { reset(); }
  void reset() noexcept;
  hid_t get() const { return id_; }
  explicit operator bool() const { return id_ >= 0; }

 private:
  static constexpr hid_t kNone = -1;  // H5I_INVALID_HID

  hid_t id_ = kNone;
  Closer close_ = nullptr;
};

/// Element types that this program stores.
enum class Type { kFloat16, kBFloat16, kFloat32, kFloat64, kInt64, kUInt8, kUInt64 };

/// The in-memory (and on-disk) HDF5 type. kFloat16 is IEEE half; kBFloat16 has 8 exponent bits.
/// The handle must outlive its use.
Handle make_type(Type type);
size_t size_of(Type type);

/// Opens read-only. @throws UserError naming the file when it is missing or not HDF5.
Handle open_file(const std::string& path);
/// Access to a file that is to be made: in HDF5's format since 1.8, whose metadata carry checksums.
Handle access_to_make();
/// Properties of a file, group or dataset that is to be made (`kind`: H5P_FILE_CREATE, ...):
/// without the time of writing, so that equal contents give equal files.
Handle properties_to_make(hid_t kind);
/// Makes the groups on the way to `path` that are not there.
void make_groups(hid_t where, const std::string& path);
/// Makes a new file, replacing an old one. @throws ProgramError with HDF5's reason.
Handle create_file(const std::string& path);
/// Writes everything to the operating system (not yet to the disk: see core/durable_file.h).
void flush(const Handle& file);

/// True when the link (and each group on the way) exists.
bool exists(hid_t where, const std::string& path);
/// Names of the links in a group, in the order of their names.
std::vector<std::string> list(hid_t where, const std::string& path);

/// Paths of all datasets below a group ("show/clip"), by name, without the first slash. Only links
/// within the file that are no names of other places are followed. @throws UserError.
std::vector<std::string> list_datasets(hid_t where);

struct DatasetInfo {
  std::vector<int64_t> shape;
  Type type;
};
/// @throws UserError when `path` is missing or has a type that is not in Type.
DatasetInfo describe(hid_t where, const std::string& path);

/// Reads a whole dataset, converted by HDF5 to `type`. `out` has exactly its elements in that type.
/// @throws UserError (also below) naming file and object when it is missing or cannot be read;
/// functions that write throw ProgramError with HDF5's reason.
void read(hid_t where, const std::string& path, Type type, std::span<std::byte> out);
/// Reads rows [first, first + count) of a dataset with at least one dimension.
void read_rows(hid_t where, const std::string& path, Type type, int64_t first, int64_t count,
               std::span<std::byte> out);
/// Makes a contiguous dataset (and the groups on its way) and writes it.
void write(hid_t where, const std::string& path, Type type, std::span<const int64_t> shape,
           std::span<const std::byte> data);
/// Makes a contiguous dataset (and the groups on its way) to be filled by write_rows.
void create_dataset(hid_t where, const std::string& path, Type type,
                    std::span<const int64_t> shape);
/// Writes rows [first, first + count) of a dataset with at least one dimension.
void write_rows(hid_t where, const std::string& path, Type type, int64_t first, int64_t count,
                std::span<const std::byte> data);
/// One-dimensional dataset of UTF-8 strings without NUL (variable length; fixed length is read
/// too).
void write_strings(hid_t where, const std::string& path, std::span<const std::string> values);
std::vector<std::string> read_strings(hid_t where, const std::string& path);

/// Attributes of the object at `path` ("." or "/" for the file's root). Strings may be of fixed or
/// variable length, integers (booleans among them) of any width, a number either kind of number.
/// Integers come as a scalar or an array; the others must hold one value.
/// @throws UserError naming file, object and attribute when it is missing or of another kind.
bool has_attribute(hid_t where, const std::string& path, const std::string& name);
std::string read_string_attribute(hid_t where, const std::string& path, const std::string& name);
double read_number_attribute(hid_t where, const std::string& path, const std::string& name);
int64_t read_int_attribute(hid_t where, const std::string& path, const std::string& name);
std::vector<int64_t> read_ints_attribute(hid_t where, const std::string& path,
                                         const std::string& name);
void write_attribute(hid_t where, const std::string& path, const std::string& name,
                     const std::string& value);
void write_attribute(hid_t where, const std::string& path, const std::string& name, int64_t value);
void write_attribute(hid_t where, const std::string& path, const std::string& name, double value);

}  // namespace bovila::hdf5
