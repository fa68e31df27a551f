// A value of a JSON file that knows its place in it, for errors that name both.
// Fed by the text of tokenizer.json and tokenizer_config.json; used by their readers.
#pragma once

#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace bovila {

/// The document of a JSON file that holds an object.
/// @throws UserError naming the file, and the byte where it is no JSON.
nlohmann::json parse_json_object(const std::string& path, std::string_view bytes);

/// Points into a document, which must outlive it. What is missing reads as null.
class JsonNode {
 public:
  JsonNode(const std::string& file, const nlohmann::json& value) : file_(&file), value_(&value) {}

  const nlohmann::json& value() const { return *value_; }
  bool is_null() const;
  /// The member of this object. @throws UserError when this is neither an object nor null.
  JsonNode operator[](std::string_view key) const;
  /// The items of this list; none for null. @throws UserError when it is something else.
  std::vector<JsonNode> items() const;
  /// @throws UserError when the value has another type.
  const std::string& text() const;
  bool flag(bool fallback) const;  // null is `fallback`
  int64_t integer() const;

  /// @throws UserError naming the first member that is not null and not one of these.
  void allow_only(std::initializer_list<std::string_view> keys) const;

  /// Throws UserError: this is (value), expected `expected`.
  [[noreturn]] void fail(std::string_view expected) const;

 private:
  const std::string* file_;
  const nlohmann::json* value_;
  std::string place_;  // "model.merges[3]"
};

}  // namespace bovila
