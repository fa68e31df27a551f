// STAR against the published code's numbers: the full method, without gate, without EDL, answers
// only.
#include <doctest/doctest.h>

#include "tests/golden/group.h"
#include "tests/golden/runs.h"

TEST_CASE("STAR trains and answers as the published code does") {
  golden::check_runs("star", {.group = golden::group()});
}
