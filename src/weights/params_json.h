// A JSON object of a model's sizes, read key by key; errors name the file and the key.
// Fed by params.json, config.json or the program's own file; used by their readers.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "bovila/core/error.h"

namespace bovila {

/// A key whose value is null counts as missing.
class ParamsJson {
 public:
  /// `path` is the file's in messages. @throws UserError when `text` is no JSON object.
  ParamsJson(std::string path, const std::string& text);

  const std::string& path() const { return path_; }
  bool has(const char* key) const { return object_.contains(key) && !object_[key].is_null(); }

  std::vector<std::string> keys() const {
    std::vector<std::string> keys;
    for (const auto& item : object_.items()) keys.push_back(item.key());
    return keys;
  }

  /// A number, bool or std::string. @throws UserError when it is missing or of another type.
  template <typename Value>
  Value required(const char* key) const {
    if (!has(key)) throw UserError("{}: the key '{}' is missing", path_, key);
    const nlohmann::json& value = object_[key];
    if (!fits<Value>(value)) {
      throw UserError("{}: '{}' must be {}, got {}", path_, key, kind<Value>(), shown(value));
    }
    return value.get<Value>();
  }
  template <typename Value>
  Value optional(const char* key, Value fallback) const {
    return has(key) ? required<Value>(key) : fallback;
  }

  /// The whole numbers of the list under a key. @throws UserError when it is none.
  std::vector<int64_t> integers(const char* key) const {
    if (!has(key)) throw UserError("{}: the key '{}' is missing", path_, key);
    std::vector<int64_t> out;
    const nlohmann::json& list = object_[key];
    bool is_list = list.is_array();
    for (const nlohmann::json& value : list) {
      if (!is_list || !(is_list = is_int64(value))) break;
      out.push_back(value.get<int64_t>());
    }
    if (is_list) return out;
    throw UserError("{}: '{}' must be a list of whole numbers, got {}", path_, key, shown(list));
  }

  /// The object under a key. @throws UserError when it is none.
  ParamsJson object(const char* key) const {
    if (!has(key)) throw UserError("{}: the key '{}' is missing", path_, key);
    if (!object_[key].is_object()) {
      throw UserError("{}: '{}' must be an object, got {}", path_, key, shown(object_[key]));
    }
    return {fmt::format("{}: {}", path_, key), object_[key]};
  }

 private:
  ParamsJson(std::string path, nlohmann::json object)
      : path_(std::move(path)), object_(std::move(object)) {}

  template <typename Value>
  static bool fits(const nlohmann::json& value) {
    if constexpr (std::is_same_v<Value, std::string>) {
      return value.is_string();
    } else if constexpr (std::is_same_v<Value, bool>) {
      return value.is_boolean();
    } else {
      return std::is_integral_v<Value> ? is_int64(value) : value.is_number();
    }
  }
  /// nlohmann-json would make -1 of 2^64 - 1.
  static bool is_int64(const nlohmann::json& value) {
    return value.is_number_integer() &&
           (!value.is_number_unsigned() || value.get<uint64_t>() <= uint64_t{INT64_MAX});
  }
  template <typename Value>
  static const char* kind() {
    if (std::is_same_v<Value, std::string>) return "a text";
    return std::is_same_v<Value, bool> ? "true or false" : "a number";
  }
  static std::string shown(const nlohmann::json& value) {
    constexpr size_t kMaxShown = 200;
    const std::string text =
        value.dump(-1, ' ', /*ensure_ascii=*/true, nlohmann::json::error_handler_t::replace);
    return text.size() <= kMaxShown ? text : fmt::format("{:.{}}...", text, kMaxShown);
  }

  std::string path_;
  nlohmann::json object_;
};

/// A file that holds one. @throws UserError also when it cannot be read.
ParamsJson read_params_json(const std::string& path);

}  // namespace bovila
