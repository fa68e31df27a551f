// DramaQA against the published code's numbers.
#include <doctest/doctest.h>

#include "tests/golden/group.h"
#include "tests/golden/runs.h"

TEST_CASE("DramaQA trains and answers as the published code does") {
  golden::check_runs("dramaqa", {.group = golden::group()});
}
