// nlohmann-json with exact types. It turns types into each other where it can (1.5 to 1, true to 1,
// 2^64 - 1 to -1), so every type is asked for before a value is taken.
#include "src/checkpoint/checkpoint_json.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "bovila/core/error.h"

namespace bovila::checkpoint_format {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kBitsPrefix = "bits:";
constexpr size_t kMaxShown = 40;
constexpr int kMaxDepth = 16;  // nlohmann-json calls itself to show a value

/// A value as messages show it: short, and printable whatever is in it.
std::string shown(const Json& value) {
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > kMaxShown) text = text.substr(0, kMaxShown) + "...";
  return text;
}

[[noreturn]] void fail(const std::string& where, const std::string& expected, const Json& value) {
  throw UserError("{}: expected {}, got {}", where, expected, shown(value));
}

int64_t to_integer(const Json& value, int64_t low, const std::string& where) {
  const bool fits = value.is_number_integer() &&
                    (!value.is_number_unsigned() || value.get<uint64_t>() <= uint64_t{INT64_MAX});
  if (!fits || value.get<int64_t>() < low)
    fail(where, fmt::format("an integer from {}", low), value);
  return value.get<int64_t>();
}

double to_number(const Json& value, const std::string& where) {
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    uint64_t bits = 0;
    if (text.size() == kBitsPrefix.size() + 16 && text.starts_with(kBitsPrefix)) {
      const char* end = text.data() + text.size();
      const auto parsed = std::from_chars(text.data() + kBitsPrefix.size(), end, bits, 16);
      if (parsed.ec == std::errc() && parsed.ptr == end) return std::bit_cast<double>(bits);
    }
  }
  fail(where, "a number", value);
}

}  // namespace

Json parse_json(std::string_view text, const std::string& path) {
  bool is_deep = false;
  const auto keep = [&](int depth, Json::parse_event_t, Json&) {
    is_deep |= depth > kMaxDepth;
    return !is_deep;
  };
  Json value = Json::parse(text, keep, false);
  if (value.is_discarded() || is_deep)
    throw UserError("{}: expected JSON, got something else", path);
  return value;
}

nlohmann::ordered_json exact(double value) {
  if (std::isfinite(value)) return value;
  return fmt::format("{}{:016x}", kBitsPrefix, std::bit_cast<uint64_t>(value));
}

JsonObject::JsonObject(const Json& value, std::string where)
    : value_(&value), where_(std::move(where)) {
  if (!value.is_object()) fail(where_, "an object", value);
}

const Json& JsonObject::member(const char* name) const {
  const auto found = value_->find(name);
  if (found == value_->end()) throw UserError("{}: '{}' is missing", where_, name);
  return *found;
}

const Json& JsonObject::array(const char* name) const {
  const Json& value = member(name);
  if (!value.is_array()) fail(fmt::format("{}: '{}'", where_, name), "a list", value);
  return value;
}

void JsonObject::allow_only(std::initializer_list<std::string_view> allowed) const {
  for (const std::string& name : names()) {
    if (std::ranges::find(allowed, name) == allowed.end()) {
      throw UserError("{}: {} is unknown", where_, shown(name));
    }
  }
}

int64_t JsonObject::integer(const char* name, int64_t low) const {
  return to_integer(member(name), low, fmt::format("{}: '{}'", where_, name));
}

double JsonObject::number(const char* name) const {
  return to_number(member(name), fmt::format("{}: '{}'", where_, name));
}

std::vector<double> JsonObject::numbers(const char* name) const {
  std::vector<double> values;
  for (const Json& value : array(name)) {
    values.push_back(to_number(value, fmt::format("{}: '{}'", where_, name)));
  }
  return values;
}

std::vector<int64_t> JsonObject::integers(const char* name, int64_t low) const {
  std::vector<int64_t> values;
  for (const Json& value : array(name)) {
    values.push_back(to_integer(value, low, fmt::format("{}: '{}'", where_, name)));
  }
  return values;
}

std::string JsonObject::text(const char* name) const {
  const Json& value = member(name);
  if (!value.is_string()) fail(fmt::format("{}: '{}'", where_, name), "a string", value);
  return value.get<std::string>();
}

JsonObject JsonObject::object(const char* name) const {
  return {member(name), fmt::format("{}: '{}'", where_, name)};
}

std::vector<JsonObject> JsonObject::objects(const char* name) const {
  std::vector<JsonObject> values;
  for (const Json& value : array(name)) {
    values.emplace_back(value, fmt::format("{}: '{}'[{}]", where_, name, values.size()));
  }
  return values;
}

std::vector<std::string> JsonObject::names() const {
  std::vector<std::string> names;
  for (const auto& item : value_->items()) names.push_back(item.key());
  return names;
}

}  // namespace bovila::checkpoint_format
