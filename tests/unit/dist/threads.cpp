// Shares of a node's cores.
#include "bovila/dist/threads.h"

#include <doctest/doctest.h>

using namespace bovila;

TEST_CASE("ranks that may use the same cores share them") {
  CHECK(share_of_cores({"1111", "1111"}, 0) == 2);
  CHECK(share_of_cores({"1111", "1111", "1111"}, 2) == 1);
}

TEST_CASE("a bound rank uses its own cores, and every rank has at least one thread") {
  CHECK(share_of_cores({"1100", "0011"}, 1) == 2);
  CHECK(share_of_cores({"1000", "1000"}, 0) == 1);
}
