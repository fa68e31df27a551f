// What the tests of model/cpu share: numbers, and slopes without a formula for them.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "bovila/core/random.h"

namespace bovila::cpu {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

/// Uniform in [-2, 2), the same for the same name.
inline Floats numbers(std::string_view name, int64_t count) {
  RandomStream random(stream_key(1, name));
  Floats out(static_cast<size_t>(count));
  for (float& value : out) value = static_cast<float>(random.next() >> 40) * 0x1p-22F - 2;
  return out;
}

/// The difference quotient of loss(x) in each of x's numbers.
template <typename Loss>
Doubles slopes(Doubles x, const Loss& loss) {
  constexpr double kStep = 1e-4;
  Doubles out;
  for (double& value : x) {
    const double at = value;
    value = at + kStep;
    const double above = loss(x);
    value = at - kStep;
    out.push_back((above - loss(x)) / (2 * kStep));
    value = at;
  }
  return out;
}

inline void check_near(const Floats& got, const Doubles& expected) {
  REQUIRE(got.size() == expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    CHECK(got[i] == doctest::Approx(expected[i]).epsilon(2e-5).scale(1));
  }
}

inline Doubles wide(const Floats& values) {
  return {values.begin(), values.end()};
}

}  // namespace bovila::cpu
