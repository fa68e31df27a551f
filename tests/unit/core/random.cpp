// Named streams: equal for equal names, different for different ones.
#include "bovila/core/random.h"

#include <doctest/doctest.h>

#include <array>
#include <set>

#include "bovila/core/error.h"

using namespace bovila;

TEST_CASE("each part of a stream's name matters") {
  const std::set<uint64_t> keys = {stream_key(0, "a"),       stream_key(1, "a"),
                                   stream_key(0, "b"),       stream_key(0, "a", 1),
                                   stream_key(0, "a", 0, 1), stream_key(0, "ab")};
  CHECK(keys.size() == 6);
  CHECK(stream_key(3, "gumbel", 2, 9) == stream_key(3, "gumbel", 2, 9));
}

TEST_CASE("below is uniform and never reaches its bound") {
  RandomStream random(1);
  std::array<int, 7> seen{};
  for (int i = 0; i < 70000; ++i) ++seen[random.below(7)];
  for (const int count : seen) CHECK(count == doctest::Approx(10000).epsilon(0.05));
  CHECK_THROWS_AS(random.below(0), ProgramError);
}
