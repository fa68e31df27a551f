// Eight or sixteen values at a time, in the compiler's own vector types.
#include "src/weights/cpu/forms.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "bovila/core/each_cpu.h"

namespace bovila::cpu {

namespace {

constexpr std::array<float, 16> kNf4 = {
    -1.0F,
    -0.6961928009986877F,
    -0.5250730514526367F,
    -0.39491748809814453F,
    -0.28444138169288635F,
    -0.18477343022823334F,
    -0.09105003625154495F,
    0.0F,
    0.07958029955625534F,
    0.16093020141124725F,
    0.24611230194568634F,
    0.33791524171829224F,
    0.44070982933044434F,
    0.5626170039176941F,
    0.7229568362236023F,
    1.0F,
};

using Eight = float __attribute__((vector_size(32)));
using EightInt = uint32_t __attribute__((vector_size(32)));

template <typename Vector, typename Number>
BOVILA_INLINE Vector read(const Number* at) {
  Vector out;
  std::memcpy(&out, at, sizeof out);
  return out;
}

/// NF4's value number `index` in each lane.
BOVILA_INLINE Eight look_up(const Eight& low, const Eight& high, const EightInt& index) {
#if defined(__clang__)
  Eight out;
  for (int i = 0; i < 8; ++i) out[i] = index[i] < 8 ? low[index[i]] : high[index[i] - 8];
  return out;
#else
  return __builtin_shuffle(low, high, index);
#endif
}

/// The largest of the magnitudes; NaN where a value is not finite.
BOVILA_INLINE float largest_magnitude(const float* values, int64_t count) {
  constexpr int64_t kLanes = 16;
  float largest[kLanes] = {}, damage[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const float magnitude = std::abs(values[i + lane]);
      largest[lane] = magnitude > largest[lane] ? magnitude : largest[lane];
      damage[lane] += magnitude - magnitude;  // 0 of what is finite
    }
  }
  for (; i < count; ++i) {
    largest[0] = std::max(largest[0], std::abs(values[i]));
    damage[0] += values[i] - values[i];
  }
  float out = 0;
  for (int64_t lane = 0; lane < kLanes; ++lane) out = std::max(out, largest[lane]) + damage[lane];
  return out;
}

constexpr std::array<float, 15> kNf4Bounds = [] {
  std::array<float, 15> bounds{};
  for (size_t i = 0; i < bounds.size(); ++i) bounds[i] = (kNf4[i] + kNf4[i + 1]) / 2;
  return bounds;
}();

/// bitsandbytes' dynamic map: seven ranges of ten to one, each twice as fine as the one below, both
/// signs; 0 and 1.
std::array<float, 256> make_scale_map() {
  constexpr int kRanges = 7;
  std::array<float, 256> map{};  // its first remains 0
  size_t used = 1;
  for (int range = 0; range < kRanges; ++range) {
    const int count = 1 << range;
    const auto step = static_cast<float>(0.9 / count);
    // As LibTorch's linspace: from both ends to the middle.
    const auto bound = [&](int i) {
      return i < (count + 1) / 2 ? std::fma(step, static_cast<float>(i), 0.1F)
                                 : std::fma(-step, static_cast<float>(count - i), 1.0F);
    };
    const auto unit = static_cast<float>(std::pow(10.0, range - (kRanges - 1)));
    for (int i = 0; i < count; ++i) {
      const float value = unit * ((bound(i) + bound(i + 1)) / 2);
      map[used++] = value;
      map[used++] = -value;
    }
  }
  map[used] = 1;
  std::ranges::sort(map);
  return map;
}

}  // namespace

const float* nf4_values() {
  return kNf4.data();
}

const float* scale_map() {
  static const std::array<float, 256> map = make_scale_map();
  return map.data();
}

BOVILA_EACH_CPU void expand_nf4(const uint8_t* packed, const float* scales, int64_t count,
                                float* out) {
  const auto low = read<Eight>(kNf4.data()), high = read<Eight>(kNf4.data() + 8);
  const EightInt shifts = {4, 0, 12, 8, 20, 16, 28, 24};  // little-endian bytes, high half first
  int64_t i = 0;
  for (; i + 8 <= count; i += 8, packed += 4) {
    uint32_t four = 0;
    std::memcpy(&four, packed, sizeof four);
    const EightInt index = ((EightInt{} + four) >> shifts) & 15;
    const Eight values = look_up(low, high, index) * scales[i / kNf4Block];
    std::memcpy(out + i, &values, sizeof values);
  }
  for (; i < count; i += 2, ++packed) {
    out[i] = kNf4[*packed >> 4] * scales[i / kNf4Block];
    out[i + 1] = kNf4[*packed & 15] * scales[i / kNf4Block];
  }
}

BOVILA_EACH_CPU void quantise_nf4(const float* values, int64_t count, uint8_t* packed,
                                  float* scales) {
  constexpr float kSmallest = 1e-38F;  // of a divisor
  for (int64_t begin = 0; begin < count; begin += kNf4Block, values += kNf4Block) {
    const int64_t size = std::min(kNf4Block, count - begin);
    const float scale = largest_magnitude(values, size);
    const float factor = 1.0F / std::max(scale, kSmallest);
    *scales++ = scale;
    int32_t index[kNf4Block];  // how many bounds lie below: halfway between two is the lower one's
    for (int64_t i = 0; i < size; ++i) {
      const float x = values[i] * factor;
      index[i] = 0;
      for (const float bound : kNf4Bounds) index[i] += x > bound;
    }
    for (int64_t i = 0; i < size; i += 2) {
      *packed++ = static_cast<uint8_t>(index[i] << 4 | index[i + 1]);
    }
  }
}

BOVILA_EACH_CPU void expand_int8(const int8_t* stored, float scale, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) {
    out[i] = static_cast<float>(stored[i]) * scale * 7.874015718698502e-3F;
  }
}

BOVILA_EACH_CPU float quantise_int8(const float* values, int64_t count, int8_t* stored) {
  const float scale = largest_magnitude(values, count);
  const float factor = scale > 0 ? 127.0F / scale : 0;  // not of a row that is not finite, either
  for (int64_t i = 0; i < count; ++i) {
    stored[i] = static_cast<int8_t>(factor > 0 ? std::nearbyint(values[i] * factor) : 0);
  }
  return scale;
}

void expand_scales(const DoubleScales& from, int64_t first, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) {
    const float value = from.map[from.codes[i]] * from.scales[(first + i) / kScaleBlock];
    out[i] = value + from.mean;
  }
}

void quantise_scales(const float* values, float mean, int64_t count, uint8_t* codes,
                     float* scales) {
  const float* map = scale_map();
  std::array<float, 255> bounds{};
  for (size_t i = 0; i < bounds.size(); ++i) bounds[i] = (map[i] + map[i + 1]) / 2;
  for (int64_t block = 0; block * kScaleBlock < count; ++block) {
    const int64_t begin = block * kScaleBlock, end = std::min(begin + kScaleBlock, count);
    float largest = 0;
    for (int64_t i = begin; i < end; ++i) largest = std::max(largest, std::abs(values[i] - mean));
    scales[block] = largest;
    const float factor = largest > 0 ? 1.0F / largest : 0;
    for (int64_t i = begin; i < end; ++i) {
      const auto above = std::ranges::lower_bound(bounds, (values[i] - mean) * factor);
      codes[i] = static_cast<uint8_t>(above - bounds.begin());
    }
  }
}

}  // namespace bovila::cpu
