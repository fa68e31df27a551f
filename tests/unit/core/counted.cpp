// One thing and several.
#include "bovila/core/counted.h"

#include <doctest/doctest.h>

TEST_CASE("one thing has no s, none and several have") {
  CHECK(bovila::counted(1, "rank") == "1 rank");
  CHECK(bovila::counted(0, "rank") == "0 ranks");
  CHECK(bovila::counted(12, "CUDA device") == "12 CUDA devices");
}
