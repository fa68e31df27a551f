// A parser's own exception, so that the test fails when its words change.
#include "bovila/core/json_reason.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using bovila::json_reason;

namespace {

std::string what_of(const char* text) {
  try {
    return nlohmann::json::parse(text).dump();
  } catch (const nlohmann::json::parse_error& error) {
    return error.what();
  }
}

}  // namespace

TEST_CASE("the line that a parser counts is the file's, and of one line only the column") {
  CHECK(json_reason(what_of("[1,\n  x]"), false).starts_with("parse error at line 2, column 3: "));
  CHECK(json_reason(what_of("[1, x]"), true).starts_with("parse error at column 5: "));
}

TEST_CASE("a message without the parser's mark is kept") {
  CHECK(json_reason("something else", true) == "something else");
}
