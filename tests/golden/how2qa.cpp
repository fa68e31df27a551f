// How2QA against the published code's numbers.
#include <doctest/doctest.h>

#include "tests/golden/group.h"
#include "tests/golden/runs.h"

TEST_CASE("How2QA trains and answers as the published code does") {
  golden::check_runs("how2qa", {.group = golden::group()});
}
