// How deep a JSON text is, whatever stands in its strings.
#include "bovila/core/json_depth.h"

#include <doctest/doctest.h>

#include <string>

using namespace bovila;

TEST_CASE("json: lists and objects up to 64 deep in one another are not too deep") {
  for (const char bracket : {'[', '{'}) {
    CHECK_FALSE(is_deep_json(std::string(kMaxJsonDepth, bracket)));
    CHECK(is_deep_json(std::string(kMaxJsonDepth + 1, bracket)));
  }
}

TEST_CASE("json: what is beside one another is not deep, nor are brackets in strings") {
  std::string beside = "[", text = "[\"\\\"";
  for (int i = 0; i < 1000; ++i) {
    beside += "[{}],";
    text += "[{";
  }
  CHECK_FALSE(is_deep_json(beside));
  CHECK_FALSE(is_deep_json(text + "\"]"));
  CHECK(is_deep_json(R"(["\\",)" + std::string(kMaxJsonDepth, '[')));
  CHECK_FALSE(is_deep_json(""));
  CHECK_FALSE(is_deep_json("\"\\"));
}
