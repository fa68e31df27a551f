// Tables for people: columns stand under each other.
#include "bovila/core/text_table.h"

#include <doctest/doctest.h>

using bovila::text_table;

TEST_CASE("columns are as wide as their widest cell, and lines end without spaces") {
  CHECK(text_table({{"rank", "host"}, {"0", "a-long-name"}, {"10", "b"}}) ==
        "  rank  host\n"
        "  0     a-long-name\n"
        "  10    b\n");
}

TEST_CASE("rows may be short or empty") {
  CHECK(text_table({{"a"}, {}, {"bc", "d"}}) == "  a\n\n  bc  d\n");
  CHECK(text_table({}).empty());
}
