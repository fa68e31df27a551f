// CSV: quotes, commas and line breaks inside fields, and files that were cut.
#include "bovila/files/csv.h"

#include "tests/unit/temp_folder.h"

using namespace bovila;
using testing::contains;
using testing::error_of;

using Fields = std::vector<std::string>;

TEST_CASE("csv: plain rows keep their fields, blanks and empty ones included") {
  const auto rows = parse_csv("a,b,c\n1, x ,\n,,\n", "f");
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].fields == Fields{"a", "b", "c"});
  CHECK(rows[1].fields == Fields{"1", " x ", ""});
  CHECK(rows[2].fields == Fields{"", "", ""});
}

TEST_CASE("csv: a quoted field may hold commas, quotes and line breaks") {
  const auto rows = parse_csv("\"a,\"\"b\"\"\nc\",d\ne,f", "f");
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].fields == Fields{"a,\"b\"\nc", "d"});
  CHECK(rows[1].fields == Fields{"e", "f"});
  CHECK(rows[1].line == 3);
}

TEST_CASE("csv: CRLF, a byte-order mark, blank lines and a missing last line feed are read") {
  const auto rows = parse_csv(
      "\xEF\xBB\xBF"
      "a,b\r\n\r\n\"1\",2\r\n\n3,4",
      "f");
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].fields == Fields{"a", "b"});
  CHECK(rows[1].fields == Fields{"1", "2"});
  CHECK(rows[2].fields == Fields{"3", "4"});
  CHECK(rows[2].line == 5);
  CHECK(parse_csv("", "f").empty());
}

TEST_CASE("csv: a quote inside an unquoted field stands for itself") {
  CHECK(parse_csv("5\" disk,\"x\"y\n", "f")[0].fields == Fields{"5\" disk", "xy"});
}

TEST_CASE("csv: a quote that is never closed is an error with its line") {
  const std::string message = error_of([] { parse_csv("a,b\nc,\"d\ne\n", "train.csv"); });
  CHECK(contains(message, "train.csv, line 2"));
  CHECK(contains(message, "never closed"));
  CHECK(contains(error_of([] { parse_csv("\"a\"\"", "f"); }), "never closed"));
}
