// Makes safetensors files by hand, right and wrong ones.
// Fed by the tests of files/safetensors.h and of the weights.
#pragma once

#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace bovila::testing {

struct SafeEntry {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
  std::string bytes;
};

/// A file with this header's text, as it is.
inline std::string with_header(const std::string& header, const std::string& values = "") {
  const uint64_t length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + header + values;
}

inline std::string safetensors(const std::vector<SafeEntry>& entries,
                               const std::map<std::string, std::string>& metadata = {}) {
  nlohmann::json header = nlohmann::json::object();
  std::string values;
  for (const SafeEntry& entry : entries) {
    header[entry.name] = {{"dtype", entry.dtype},
                          {"shape", entry.shape},
                          {"data_offsets", {values.size(), values.size() + entry.bytes.size()}}};
    values += entry.bytes;
  }
  if (!metadata.empty()) header["__metadata__"] = metadata;
  return with_header(header.dump(), values);
}

}  // namespace bovila::testing
