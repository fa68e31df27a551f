// One of a thing, and many.
#include "bovila/core/counted.h"

#include <doctest/doctest.h>

TEST_CASE("one of a thing has no s") {
  CHECK(bovila::counted(0, "video") == "0 videos");
  CHECK(bovila::counted(1, "video") == "1 video");
  CHECK(bovila::counted(12, "video") == "12 videos");
}
