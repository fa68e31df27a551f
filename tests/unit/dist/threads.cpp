// Shares of a node's cores.
#include "bovila/dist/threads.h"

#include <doctest/doctest.h>

using namespace bovila;

TEST_CASE("ranks that may use the same cores share them") {
  CHECK(share_of_cores({"0-3", "0-3"}, 0) == 2);
  CHECK(share_of_cores({"0-3", "0-3", "0-3"}, 2) == 1);
}

TEST_CASE("a bound rank uses its own cores, and every rank has at least one thread") {
  CHECK(share_of_cores({"0-1", "2-3"}, 1) == 2);
  CHECK(share_of_cores({"5", "5"}, 0) == 1);
}
