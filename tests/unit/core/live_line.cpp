// What of a line fits; how it behaves on a terminal is in tests/cli/terminal.sh.
#include "bovila/core/live_line.h"

#include <doctest/doctest.h>

using bovila::live_line::fitting;

TEST_CASE("a line is cut where its last column would be taken") {
  CHECK(fitting("abc", 4) == "abc");
  CHECK(fitting("abcd", 4) == "abc");
  CHECK(fitting("abcd", 1) == "");
  CHECK(fitting("", 80) == "");
}

TEST_CASE("a line is cut between characters, of which others than ASCII may be wide") {
  CHECK(fitting("a\xc3\xa4"
                "bc",
                5) ==
        "a\xc3\xa4"
        "b");
  CHECK(fitting("a\xc3\xa4", 3) == "a");
  CHECK(fitting("\xe4\xb8\xad\xe4\xb8\xad", 4) == "\xe4\xb8\xad");
}
