// Makes .pth files by hand, right and wrong ones: pickles opcode by opcode, zips with libzip.
// Fed by the tests of pickle.h, pth.h and the feature store.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>
#include <zip.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bovila/core/error.h"

namespace bovila::test {

/// A folder that is removed with all that is in it.
struct Playground {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / fmt::format("bovila-test-{}", getpid());
  Playground() { std::filesystem::create_directory(path); }
  ~Playground() { std::filesystem::remove_all(path); }
  std::string operator/(std::string_view name) const { return (path / name).string(); }
};

/// What a UserError says.
template <typename Action>
std::string user_error_of(Action action) {
  try {
    action();
  } catch (const UserError& error) {
    return error.what();
  }
  FAIL_CHECK("no UserError");
  return "";
}

inline bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

template <typename T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// --- pickle opcodes ---
inline std::string little(uint64_t value, size_t num_bytes) {
  std::string bytes(num_bytes, '\0');
  std::memcpy(bytes.data(), &value, num_bytes);
  return bytes;
}
inline std::string text(std::string_view value) {
  return "X" + little(value.size(), 4) + std::string(value);
}
inline std::string integer(int64_t value) {  // LONG1 of 8 bytes
  return "\x8a\x08" + little(static_cast<uint64_t>(value), 8);
}
inline std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
inline std::string tuple(const std::vector<std::string>& parts) {
  std::string bytes = "(";
  for (const std::string& part : parts) bytes += part;
  return bytes + "t";
}
inline std::string integers(const std::vector<int64_t>& values) {
  std::vector<std::string> parts;
  for (const int64_t value : values) parts.push_back(integer(value));
  return tuple(parts);
}
inline std::string pickle(const std::string& body) {
  return "\x80\x02" + body + ".";
}
inline std::string dict(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string bytes = "}(";
  for (const auto& [key, value] : items) bytes += text(key) + value;
  return bytes + "u";
}

struct TensorSpec {
  std::vector<int64_t> shape;
  std::string type = "FloatStorage";
  std::string key = "0";
  int64_t storage_numel = -1;  // -1: as the shape says
  int64_t offset = 0;
  std::vector<int64_t> strides = {};  // empty: row-major
};

inline std::string tensor(TensorSpec spec) {
  int64_t numel = 1;
  std::vector<int64_t> row_major(spec.shape.size());
  for (size_t i = spec.shape.size(); i-- > 0;) {
    row_major[i] = numel;
    if (__builtin_mul_overflow(numel, spec.shape[i], &numel)) numel = 0;  // made to be refused
  }
  if (spec.strides.empty()) spec.strides = row_major;
  if (spec.storage_numel < 0) spec.storage_numel = numel;
  const std::string storage = tuple({text("storage"), global("torch", spec.type), text(spec.key),
                                     text("cpu"), integer(spec.storage_numel)}) +
                              "Q";
  const std::string no_hooks = global("collections", "OrderedDict") + ")R";
  return global("torch._utils", "_rebuild_tensor_v2") +
         tuple({storage, integer(spec.offset), integers(spec.shape), integers(spec.strides), "\x89",
                no_hooks}) +
         "R";
}

// --- zips ---
struct Entry {
  std::string name;
  std::string data;
  bool compressed = false;
};

inline void write_zip(const std::string& path, const std::vector<Entry>& entries) {
  int code = 0;
  zip_t* zip = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
  REQUIRE(zip != nullptr);
  for (const Entry& entry : entries) {
    zip_source_t* source = zip_source_buffer(zip, entry.data.data(), entry.data.size(), 0);
    const zip_int64_t index = zip_file_add(zip, entry.name.c_str(), source, 0);
    REQUIRE(index >= 0);
    zip_set_file_compression(zip, static_cast<zip_uint64_t>(index),
                             entry.compressed ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
  }
  REQUIRE(zip_close(zip) == 0);
}

/// A .pth of a pickle's body and storages 0, 1, ...
inline void write_pth(const std::string& path, const std::string& body,
                      const std::vector<std::string>& storages,
                      const std::vector<Entry>& more = {}) {
  std::vector<Entry> entries{{"archive/data.pkl", pickle(body)}};
  for (size_t i = 0; i < storages.size(); ++i) {
    entries.push_back({"archive/data/" + std::to_string(i), storages[i]});
  }
  entries.insert(entries.end(), more.begin(), more.end());
  entries.push_back({"archive/version", "3\n"});
  write_zip(path, entries);
}

}  // namespace bovila::test
