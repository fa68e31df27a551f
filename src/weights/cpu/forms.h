// Rows of fp32 into int8 and NF4 and back, on a CPU. SPEC 13.
// Fed by src/weights/frozen_matrix.cpp and src/weights/matrix_filler.cpp, on LibTorch's threads.
//
// Every value has the bits that bitsandbytes gives it: no product is fused with a sum.
#pragma once

#include <cstdint>

namespace bovila::cpu {

constexpr int64_t kNf4Block = 64;     // weights of one scale
constexpr int64_t kScaleBlock = 256;  // scales of one scale of scales

/// NF4's values, ascending: [16].
const float* nf4_values();
/// What 8 bits of a scale mean, ascending, before they are multiplied: [256].
const float* scale_map();

/// `count` weights, an even number, in blocks of 64, the last one perhaps shorter: value * scale;
/// two are in a byte, the first in the high bits.
void expand_nf4(const uint8_t* packed, const float* scales, int64_t count, float* out);
/// The nearest value of each weight over the largest magnitude of its block, which becomes the
/// scale: NaN where a weight of the block is not finite.
void quantise_nf4(const float* values, int64_t count, uint8_t* packed, float* scales);

/// stored * scale / 127, as bitsandbytes rounds it.
void expand_int8(const int8_t* stored, float scale, int64_t count, float* out);
/// Rounds weights * 127 / scale to the nearest, halves to even. @return the scale, the largest
/// magnitude; NaN where a weight is not finite.
float quantise_int8(const float* values, int64_t count, int8_t* stored);

/// Scales in 8 bits.
struct DoubleScales {
  const uint8_t* codes;
  const float* map;     // [256]
  const float* scales;  // of the whole matrix, one for kScaleBlock of its codes
  float mean;
};
/// map[code] * scale + mean; the first code is number `first` of the whole matrix's.
void expand_scales(const DoubleScales& from, int64_t first, int64_t count, float* out);
/// All scales of a matrix, less their mean, as the nearest of the map times the block's largest
/// magnitude.
void quantise_scales(const float* values, float mean, int64_t count, uint8_t* codes, float* scales);

}  // namespace bovila::cpu
