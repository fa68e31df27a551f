// Proves core/float16.h over every 16-bit pattern.
#include "bovila/core/float16.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "bovila/core/error.h"

namespace {

/// Half by its definition: sign, 5 exponent bits with bias 15, 10 mantissa bits.
double by_definition(uint16_t half) {
  const int exponent = half >> 10 & 31;
  const int mantissa = half & 1023;
  const double sign = (half & 0x8000) != 0 ? -1 : 1;
  if (exponent == 31) return mantissa != 0 ? NAN : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

std::vector<uint16_t> all_patterns() {
  std::vector<uint16_t> patterns(65536);
  for (size_t i = 0; i < patterns.size(); ++i) patterns[i] = static_cast<uint16_t>(i);
  return patterns;
}

}  // namespace

TEST_CASE("every half becomes the float of its definition, with its sign") {
  const std::vector<uint16_t> halves = all_patterns();
  std::vector<float> floats(halves.size());
  bovila::halves_to_floats(halves, floats);
  int wrong = 0;
  for (size_t i = 0; i < halves.size(); ++i) {
    const double expected = by_definition(halves[i]);
    const bool same = std::isnan(expected) ? std::isnan(floats[i])
                                           : floats[i] == expected &&
                                                 std::signbit(floats[i]) == std::signbit(expected);
    if (!same) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("every bfloat16 becomes the float whose upper half it is") {
  const std::vector<uint16_t> brains = all_patterns();
  std::vector<float> floats(brains.size());
  bovila::bfloat16s_to_floats(brains, floats);
  int wrong = 0;
  for (size_t i = 0; i < brains.size(); ++i) {
    if (std::bit_cast<uint32_t>(floats[i]) != static_cast<uint32_t>(brains[i]) << 16) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("doubles round to the nearest float and overflow to infinity") {
  const std::vector<double> doubles{1.0 / 3, -0.0, 1e300, 5e-324};
  std::vector<float> floats(4);
  bovila::doubles_to_floats(doubles, floats);
  CHECK(floats == std::vector<float>{1.0F / 3, -0.0F, std::numeric_limits<float>::infinity(), 0});
}

TEST_CASE("a single infinity or NaN is found wherever it is") {
  for (const size_t size : {1U, 15U, 16U, 17U, 100U}) {
    for (size_t at = 0; at < size; ++at) {
      std::vector<uint16_t> halves(size, 0x7BFF);  // the largest finite half
      std::vector<float> floats(size, std::numeric_limits<float>::max());
      REQUIRE(bovila::all_finite_halves(halves));
      REQUIRE(bovila::all_finite_floats(floats));
      halves[at] = at % 2 == 0 ? 0xFC00 : 0x7E00;
      floats[at] = at % 2 == 0 ? -INFINITY : NAN;
      REQUIRE_FALSE(bovila::all_finite_halves(halves));
      REQUIRE_FALSE(bovila::all_finite_floats(floats));
    }
  }
  CHECK(bovila::all_finite_halves({}));
}

TEST_CASE("arrays of two sizes are a program error") {
  std::vector<float> out(2);
  CHECK_THROWS_AS(bovila::halves_to_floats(std::vector<uint16_t>(3), out), bovila::ProgramError);
}
