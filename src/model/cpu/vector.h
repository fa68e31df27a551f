// Sixteen floats as one value, in the compiler's own vector type: no intrinsics. It becomes
// whatever the processor has, one register or four.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>

#include "bovila/core/each_cpu.h"
#include "src/model/cpu/lanes.h"

namespace bovila::cpu {

using Vec = float __attribute__((vector_size(64)));
using VecInt = int32_t __attribute__((vector_size(64)));

BOVILA_INLINE Vec load(const float* at) {
  Vec out;
  std::memcpy(&out, at, sizeof out);
  return out;
}

BOVILA_INLINE void store(float* at, const Vec& values) {
  std::memcpy(at, &values, sizeof values);
}

/// The first `count` lanes, zeros behind them.
BOVILA_INLINE Vec load_some(const float* at, int64_t count) {
  if (count >= kLanes) return load(at);
  Vec out{};
  std::memcpy(&out, at, static_cast<size_t>(count) * sizeof(float));
  return out;
}

BOVILA_INLINE void store_some(float* at, const Vec& values, int64_t count) {
  if (count >= kLanes) return store(at, values);
  std::memcpy(at, &values, static_cast<size_t>(count) * sizeof(float));
}

/// In a fixed order.
BOVILA_INLINE float sum(const Vec& values) {
  float total = 0;
  for (int64_t i = 0; i < kLanes; ++i) total += values[i];
  return total;
}

/// e^x to 2 units in the last place; 0 below -87, infinity above 88, NaN of NaN. Cody and Waite's
/// reduction by multiples of ln 2 and Cephes' polynomial.
BOVILA_INLINE Vec exp(const Vec& x) {
  constexpr float kToInteger = 12582912;  // 1.5 * 2^23: adding it rounds, its low bits count
  constexpr int32_t kToIntegerBits = 0x4B400000;
  const Vec shifted = x * 1.44269504F + kToInteger;
  const Vec n = shifted - kToInteger;
  const Vec r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  Vec p = r * 1.9875691500e-4F + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * (r * r) + r + 1.0F;
  VecInt bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits - kToIntegerBits + 127) << 23;
  Vec power;
  std::memcpy(&power, &bits, sizeof power);
  const Vec y = p * power, none{};
  const Vec infinity = none + std::numeric_limits<float>::infinity();
  return x < -87.0F ? none : (x > 88.0F ? infinity : y);
}

}  // namespace bovila::cpu
