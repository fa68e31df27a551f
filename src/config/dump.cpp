// Writing a Config: each member by its type, each key by the table of keys.
#include "bovila/config/dump.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <type_traits>

namespace bovila {
namespace {

template <typename T>
std::string to_text(const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    return quote(value);
  } else if constexpr (std::is_enum_v<T>) {
    return quote(to_string(value));
  } else if constexpr (std::is_same_v<T, double>) {
    return float_text(value);
  } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
    std::vector<std::string> quoted;
    quoted.reserve(value.size());
    for (const std::string& item : value) quoted.push_back(quote(item));
    return fmt::format("[{}]", fmt::join(quoted, ", "));
  } else {
    return fmt::format("{}", value);
  }
}

template <typename T>
std::string to_text(const std::optional<T>& value) {
  return value ? to_text(*value) : "";
}

template <typename T>
nlohmann::ordered_json to_json_value(const T& value) {
  if constexpr (std::is_enum_v<T>) {
    return to_string(value);
  } else {
    return value;
  }
}

template <typename T>
nlohmann::ordered_json to_json_value(const std::optional<T>& value) {
  return value ? to_json_value(*value) : nlohmann::ordered_json();
}

}  // namespace

std::string float_text(double value) {
  const std::string text = fmt::format("{}", value);
  return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;  // not nan, inf
}

std::string quote(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      quoted += fmt::format("\\u{:04X}", byte);
    } else {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string value_text(const Key& key, const Config& config) {
  Config copy = config;
  return std::visit([](const auto* value) { return to_text(*value); }, key.field(copy));
}

std::string to_toml(const Config& config) {
  std::string text;
  std::string_view table;
  for (const Key& key : keys()) {
    if (key.table() != table) {
      table = key.table();
      text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", table);
    }
    const std::string value = value_text(key, config);
    text += value.empty() ? fmt::format("# {} is not set\n", key.name())
                          : fmt::format("{} = {}\n", key.name(), value);
  }
  return text;
}

std::string to_json(const Config& config) {
  Config copy = config;
  nlohmann::ordered_json json;
  for (const Key& key : keys()) {
    json[std::string(key.table())][std::string(key.name())] =
        std::visit([](const auto* value) { return to_json_value(*value); }, key.field(copy));
  }
  return json.dump(2) + "\n";
}

}  // namespace bovila
