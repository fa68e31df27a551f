// The rules for values: one function a type.
#include "bovila/config/assign.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "bovila/config/dump.h"
#include "bovila/config/problems.h"

namespace bovila {
namespace {

/// Long strings are cut where a character starts.
std::string shown(const std::string& text) {
  constexpr size_t kMaxBytes = 60;
  if (text.size() <= kMaxBytes) return quote(text);
  size_t end = kMaxBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return quote(text.substr(0, end)) + "...";
}

bool set(const Key&, const toml::node& node, bool& member) {
  const auto value = node.value_exact<bool>();
  if (value) member = *value;
  return value.has_value();
}

bool set(const Key& key, const toml::node& node, int64_t& member) {
  const auto value = node.value_exact<int64_t>();
  if (!value || !key.range.contains(static_cast<double>(*value))) return false;
  member = *value;
  return true;
}

bool set(const Key& key, const toml::node& node, double& member) {
  const auto integer = node.value_exact<int64_t>();
  const auto value = integer ? static_cast<double>(*integer) : node.value_exact<double>();
  if (!value || !key.range.contains(*value)) return false;
  member = *value;
  return true;
}

template <typename Number>
bool set(const Key& key, const toml::node& node, std::optional<Number>& member) {
  Number value = 0;
  if (!set(key, node, value)) return false;
  member = value;
  return true;
}

bool set(const Key& key, const toml::node& node, std::string& member) {
  const auto value = node.value_exact<std::string>();
  if (!value || (value->empty() && !may_be_empty(key))) return false;
  const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  if (std::ranges::any_of(*value, is_control)) return false;
  if (!key.words.empty() && !std::ranges::count(key.words, *value)) return false;
  member = *value;
  return true;
}

bool set(const Key& key, const toml::node& node, std::vector<std::string>& member) {
  const toml::array* list = node.as_array();
  if (list == nullptr) return false;
  std::vector<std::string> values(list->size());
  for (size_t i = 0; i < list->size(); ++i) {
    if (!set(key, *list->get(i), values[i])) return false;
  }
  member = std::move(values);
  return true;
}

template <typename Enum>
bool set(const Key&, const toml::node& node, Enum& member) {
  const auto value = node.value_exact<std::string>();
  if (!value) return false;
  const auto names = names_of(member);
  const auto found = std::ranges::find(names, *value, &EnumName<Enum>::name);
  if (found == names.end()) return false;
  member = found->value;
  return true;
}

/// ", did you mean ..." for a string that is nearly one of the key's words.
std::string guess(const Key& key, const toml::node& node, Config& config) {
  const auto value = node.value_exact<std::string>();
  if (!value) return "";
  std::vector<std::string_view> words(key.words.begin(), key.words.end());
  std::visit(
      [&]<typename T>(T* member) {
        if constexpr (std::is_same_v<T, std::vector<std::string>>) words.clear();
        if constexpr (std::is_enum_v<T>) {
          for (const auto& entry : names_of(*member)) words.push_back(entry.name);
        }
      },
      key.field(config));
  std::string lower = *value;
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  const std::string_view word = nearest(lower, words);
  return word.empty() ? "" : fmt::format("; did you mean \"{}\"?", word);
}

}  // namespace

std::string describe(const toml::node& node) {
  if (const auto* text = node.as_string()) return fmt::format("string {}", shown(text->get()));
  if (const auto* number = node.as_integer()) return fmt::format("integer {}", number->get());
  if (const auto* flag = node.as_boolean()) return fmt::format("boolean {}", flag->get());
  if (const auto* number = node.as_floating_point()) {
    return fmt::format("float {}", float_text(number->get()));
  }
  return node.is_array() ? "an array" : node.is_table() ? "a table" : "a date or time";
}

std::string assign(const Key& key, const toml::node& node, Config& config) {
  if (std::visit([&](auto* member) { return set(key, node, *member); }, key.field(config))) {
    return "";
  }
  return fmt::format("{}: expected {}, got {}{}", key.path, expected_text(key), describe(node),
                     guess(key, node, config));
}

}  // namespace bovila
