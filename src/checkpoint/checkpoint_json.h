// Members of a JSON object by exact type, with errors that name file and member.
// Fed by progress.json and manifest.json; included by src/checkpoint/checkpoint_*.cpp alone.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace bovila::checkpoint_format {

/// A view of an object, which must outlive it. `where` is the file and the way to the object in it.
/// Everything throws UserError: "WHERE: 'step': expected an integer from 0, got \"x\"".
class JsonObject {
 public:
  JsonObject(const nlohmann::json& value, std::string where);

  /// Fails when it has other members than these.
  void allow_only(std::initializer_list<std::string_view> names) const;
  int64_t integer(const char* name, int64_t low) const;
  double number(const char* name) const;
  std::vector<double> numbers(const char* name) const;
  std::vector<int64_t> integers(const char* name, int64_t low) const;
  std::string text(const char* name) const;
  JsonObject object(const char* name) const;
  std::vector<JsonObject> objects(const char* name) const;
  /// All members' names, in order.
  std::vector<std::string> names() const;

 private:
  const nlohmann::json& member(const char* name) const;
  const nlohmann::json& array(const char* name) const;

  const nlohmann::json* value_;
  std::string where_;
};

/// @throws UserError unless it is JSON.
nlohmann::json parse_json(std::string_view text, const std::string& path);

/// Numbers of any kind, bit for bit: JSON's where it has them, the bits in hexadecimal for others.
nlohmann::ordered_json exact(double value);

}  // namespace bovila::checkpoint_format
