// Typed access to JSON with places.
#include "src/files/json_node.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bovila/core/error.h"
#include "bovila/core/json_depth.h"
#include "bovila/core/utf8.h"

namespace bovila {
namespace {

const nlohmann::json& null_value() {
  static const nlohmann::json value;
  return value;
}

/// The value as JSON, cut when long. Lists and objects are not shown.
std::string shown(const nlohmann::json& value) {
  if (value.is_array()) return "a list";
  if (value.is_object()) return "an object";
  constexpr size_t kMaxShown = 200;
  const std::string text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return text.size() <= kMaxShown ? text : to_valid_utf8(text.substr(0, kMaxShown)) + "...";
}

}  // namespace

nlohmann::json parse_json_object(const std::string& path, std::string_view bytes) {
  if (is_deep_json(bytes)) {
    throw UserError("{} has lists or objects more than {} deep in one another: it is damaged", path,
                    kMaxJsonDepth);
  }
  nlohmann::json document;
  try {
    document = nlohmann::json::parse(bytes);
  } catch (const nlohmann::json::parse_error& error) {
    throw UserError("{} is not valid JSON at byte {}: it is cut or damaged, copy it again", path,
                    error.byte);
  } catch (const nlohmann::json::out_of_range&) {
    throw UserError("{} holds a number that is too large: it is damaged, copy it again", path);
  }
  if (!document.is_object()) throw UserError("{}: expected a JSON object", path);
  return document;
}

bool JsonNode::is_null() const {
  return value_->is_null();
}

JsonNode JsonNode::operator[](std::string_view key) const {
  if (!is_null() && !value_->is_object()) fail("an object");
  JsonNode member(*file_, null_value());
  member.place_ = place_.empty() ? std::string(key) : fmt::format("{}.{}", place_, key);
  const auto found = is_null() ? value_->end() : value_->find(std::string(key));
  if (found != value_->end()) member.value_ = &*found;
  return member;
}

std::vector<JsonNode> JsonNode::items() const {
  if (!is_null() && !value_->is_array()) fail("a list");
  std::vector<JsonNode> items;
  for (const nlohmann::json& value : *value_) {
    JsonNode& item = items.emplace_back(*file_, value);
    item.place_ = fmt::format("{}[{}]", place_, items.size() - 1);
  }
  return items;
}

const std::string& JsonNode::text() const {
  if (!value_->is_string()) fail("a text");
  return value_->get_ref<const std::string&>();
}

bool JsonNode::flag(bool fallback) const {
  if (is_null()) return fallback;
  if (!value_->is_boolean()) fail("true or false");
  return value_->get<bool>();
}

int64_t JsonNode::integer() const {
  if (!value_->is_number_integer()) fail("a whole number");
  if (value_->is_number_unsigned() && value_->get<uint64_t>() > INT64_MAX) fail("a small number");
  return value_->get<int64_t>();
}

void JsonNode::allow_only(std::initializer_list<std::string_view> keys) const {
  if (!value_->is_object()) fail("an object");
  for (const auto& [key, value] : value_->items()) {
    if (!value.is_null() && std::ranges::find(keys, key) == keys.end()) {
      (*this)[key].fail("nothing there: this key is not implemented");
    }
  }
}

void JsonNode::fail(std::string_view expected) const {
  throw UserError("{}: {} is {}, expected {}", *file_, place_.empty() ? "the document" : place_,
                  shown(*value_), expected);
}

}  // namespace bovila
