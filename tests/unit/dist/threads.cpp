// Shares of a node's cores.
#include "bovila/dist/threads.h"

#include "tests/unit/temp_folder.h"

using namespace bovila;

TEST_CASE("ranks that may use the same cores share them") {
  CHECK(share_of_cores({"0-3", "0-3"}, 0) == 2);
  CHECK(share_of_cores({"0-3", "0-3", "0-3"}, 2) == 1);
}

TEST_CASE("a bound rank uses its own cores, and every rank has at least one thread") {
  CHECK(share_of_cores({"0-1", "2-3"}, 1) == 2);
  CHECK(share_of_cores({"5", "5"}, 0) == 1);
}

TEST_CASE("threads that would starve a node are refused") {
  CHECK_NOTHROW(check_threads(0, 1000, 1));
  CHECK_NOTHROW(check_threads(1024, 1, 2));
  CHECK_NOTHROW(check_threads(256, 8, 128));
  CHECK(
      testing::error_of([] { check_threads(1024, 2, 2); }) ==
      "run.threads_per_rank = 1024 with 2 ranks on a machine of 2 cores is 2048 threads, expected "
      "1024 at most");
}
