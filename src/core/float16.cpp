// Loops over whole arrays. At -O2 compilers vectorise only loops of a known length, so each array
// is gone through in blocks of kBlock, copied so that in and out cannot overlap, with a tail.
#include "bovila/core/float16.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "bovila/core/error.h"

namespace bovila {
namespace {

constexpr size_t kBlock = 16;

template <typename In, typename Convert>
void convert_all(std::span<const In> in, std::span<float> out, Convert convert) {
  BOVILA_CHECK(in.size() == out.size(), "{} values for {} floats", in.size(), out.size());
  const In* from = in.data();
  float* to = out.data();
  size_t i = 0;
  for (; i + kBlock <= in.size(); i += kBlock) {
    In block_in[kBlock];
    float block_out[kBlock];
    std::memcpy(block_in, from + i, sizeof block_in);
    for (size_t j = 0; j < kBlock; ++j) block_out[j] = convert(block_in[j]);
    std::memcpy(to + i, block_out, sizeof block_out);
  }
  for (; i < in.size(); ++i) to[i] = convert(from[i]);
}

/// Whether any value has all bits of `mask`, which are the exponent's: infinity or NaN.
template <typename Value, typename Bits>
bool any_has(std::span<const Value> values, Bits mask) {
  const auto has = [mask](Value value) { return (std::bit_cast<Bits>(value) & mask) == mask; };
  Bits found[kBlock] = {};
  const Value* from = values.data();
  size_t i = 0;
  for (; i + kBlock <= values.size(); i += kBlock) {
    for (size_t j = 0; j < kBlock; ++j) found[j] = static_cast<Bits>(found[j] | has(from[i + j]));
  }
  for (; i < values.size(); ++i) found[0] = static_cast<Bits>(found[0] | has(from[i]));
  return std::any_of(std::begin(found), std::end(found), [](Bits bits) { return bits != 0; });
}

}  // namespace

void halves_to_floats(std::span<const uint16_t> in, std::span<float> out) {
  convert_all(in, out, [](uint16_t half) { return half_to_float(half); });
}

void bfloat16s_to_floats(std::span<const uint16_t> in, std::span<float> out) {
  convert_all(in, out, [](uint16_t value) { return bfloat16_to_float(value); });
}

void doubles_to_floats(std::span<const double> in, std::span<float> out) {
  convert_all(in, out, [](double value) { return static_cast<float>(value); });
}

bool all_finite_halves(std::span<const uint16_t> values) {
  return !any_has(values, uint16_t{0x7C00});
}

bool all_finite_floats(std::span<const float> values) {
  return !any_has(values, uint32_t{0x7F800000});
}

}  // namespace bovila
