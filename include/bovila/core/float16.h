// The two 16-bit floating point formats as fp32, and fp64 as fp32.
// Fed by the feature store and the readers of weights. Pure functions; no F16C needed.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace bovila {

/// IEEE half. Exact for every value; infinities and NaNs stay what they are.
inline float half_to_float(uint16_t half) {
  // The exponent field is moved into fp32's and rebased by one multiplication, which also makes
  // subnormal halves normal. Infinity and NaN lose their exponent in it and get it back.
  const int32_t magnitude = (half & 0x7FFF) << 13;
  const uint32_t scaled = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112F);
  const uint32_t special = static_cast<uint32_t>(-(magnitude >= 0x0F800000)) & 0x7F800000U;
  return std::bit_cast<float>(scaled | special | static_cast<uint32_t>(half & 0x8000U) << 16);
}

/// bfloat16: the upper half of an fp32. Exact.
inline float bfloat16_to_float(uint16_t value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value) << 16);
}

/// Whole arrays; `in` and `out` are of one size.
void halves_to_floats(std::span<const uint16_t> in, std::span<float> out);
void bfloat16s_to_floats(std::span<const uint16_t> in, std::span<float> out);
/// Rounds to nearest; what is too large for fp32 becomes infinite.
void doubles_to_floats(std::span<const double> in, std::span<float> out);

/// True when no element is infinite or NaN.
bool all_finite_halves(std::span<const uint16_t> values);
bool all_finite_floats(std::span<const float> values);

}  // namespace bovila
