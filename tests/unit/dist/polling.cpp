// A wait that ends.
#include "bovila/dist/polling.h"

#include <doctest/doctest.h>

using namespace bovila;

TEST_CASE("a wait ends as soon as what it waits for is done") {
  int asked = 0;
  CHECK(poll_until(60, [&] { return ++asked == 100; }));
  CHECK(asked == 100);
  CHECK(poll_until(0, [] { return true; }));
}

TEST_CASE("a wait for what never comes ends at its limit") {
  const auto start = std::chrono::steady_clock::now();
  CHECK_FALSE(poll_until(0.1, [] { return false; }));
  const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - start;
  CHECK(waited.count() >= 0.1);
  CHECK(waited.count() < 20);  // on a busy machine
}

TEST_CASE("an error of what is asked ends the wait") {
  CHECK_THROWS_AS(poll_until(60, []() -> bool { throw 1; }), int);
}
