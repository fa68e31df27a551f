// Row by row, sixteen columns at a time.
#include "src/model/cpu/rows.h"

#include <cmath>

#include "src/model/cpu/vector.h"

namespace bovila::cpu {
namespace {

BOVILA_INLINE Vec sigmoid(const Vec& x) {
  return 1.0F / (1.0F + exp(-x));
}

/// (a + ib) times the turn, or its conjugate, of each pair of lanes.
BOVILA_INLINE Vec turned(const Vec& pairs, const Vec& turns, const Vec& signs) {
  const Vec swapped =
      __builtin_shufflevector(pairs, pairs, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
  const Vec real =
      __builtin_shufflevector(turns, turns, 0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 10, 10, 12, 12, 14, 14);
  const Vec imaginary =
      __builtin_shufflevector(turns, turns, 1, 1, 3, 3, 5, 5, 7, 7, 9, 9, 11, 11, 13, 13, 15, 15);
  return pairs * real + swapped * imaginary * signs;
}

}  // namespace

BOVILA_EACH_CPU void swiglu(const float* gate_up, float* out, int64_t rows, int64_t width) {
  for (int64_t row = 0; row < rows; ++row, gate_up += 2 * width, out += width) {
    for (int64_t i = 0; i < width; i += kLanes) {
      const Vec gate = load_some(gate_up + i, width - i);
      const Vec up = load_some(gate_up + width + i, width - i);
      store_some(out + i, gate * sigmoid(gate) * up, width - i);
    }
  }
}

BOVILA_EACH_CPU void swiglu_backward(const float* gate_up, const float* grad, float* d_gate_up,
                                     int64_t rows, int64_t width) {
  for (int64_t row = 0; row < rows;
       ++row, gate_up += 2 * width, d_gate_up += 2 * width, grad += width) {
    for (int64_t i = 0; i < width; i += kLanes) {
      const Vec gate = load_some(gate_up + i, width - i);
      const Vec up = load_some(gate_up + width + i, width - i);
      const Vec d_out = load_some(grad + i, width - i);
      const Vec open = sigmoid(gate);
      const Vec slope = open * (1.0F + gate * (1.0F - open));
      store_some(d_gate_up + i, d_out * up * slope, width - i);
      store_some(d_gate_up + width + i, d_out * (gate * open), width - i);
    }
  }
}

BOVILA_EACH_CPU void rms_norm(const float* x, const float* weight, float eps, float* out,
                              float* scale, int64_t rows, int64_t width) {
  for (int64_t row = 0; row < rows; ++row, x += width, out += width) {
    Vec squares{};
    for (int64_t i = 0; i < width; i += kLanes) {
      const Vec some = load_some(x + i, width - i);
      squares += some * some;
    }
    const float factor = 1.0F / std::sqrt(sum(squares) / static_cast<float>(width) + eps);
    scale[row] = factor;
    for (int64_t i = 0; i < width; i += kLanes) {
      const Vec some = load_some(x + i, width - i);
      store_some(out + i, some * factor * load_some(weight + i, width - i), width - i);
    }
  }
}

BOVILA_EACH_CPU void rms_norm_backward(const float* x, const float* weight, const float* scale,
                                       const float* grad, float* d_x, int64_t rows, int64_t width) {
  for (int64_t row = 0; row < rows; ++row, x += width, grad += width, d_x += width) {
    const float factor = scale[row];
    Vec products{};
    for (int64_t i = 0; i < width; i += kLanes) {
      const Vec d_normed = load_some(grad + i, width - i) * load_some(weight + i, width - i);
      products += d_normed * (load_some(x + i, width - i) * factor);
    }
    const float along = sum(products) / static_cast<float>(width);
    for (int64_t i = 0; i < width; i += kLanes) {
      const Vec d_normed = load_some(grad + i, width - i) * load_some(weight + i, width - i);
      const Vec normed = load_some(x + i, width - i) * factor;
      store_some(d_x + i, (d_normed - normed * along) * factor, width - i);
    }
  }
}

BOVILA_EACH_CPU void rotate(const float* x, const float* turns, bool back, float* out, int64_t rows,
                            int64_t columns, int64_t heads, int64_t pairs) {
  const int64_t width = 2 * pairs;
  const float sign = back ? -1.0F : 1.0F;
  Vec signs{};
  for (int64_t i = 0; i < kLanes; ++i) signs[i] = i % 2 == 0 ? -sign : sign;
  for (int64_t row = 0; row < rows; ++row, x += columns, out += columns, turns += width) {
    for (int64_t head = 0; head < heads; ++head) {
      for (int64_t i = 0; i < width; i += kLanes) {
        const int64_t at = head * width + i;
        store_some(out + at,
                   turned(load_some(x + at, width - i), load_some(turns + i, width - i), signs),
                   width - i);
      }
    }
    const int64_t rest = heads * width;
    if (out == x || rest == columns) continue;
    std::memcpy(out + rest, x + rest, static_cast<size_t>(columns - rest) * sizeof(float));
  }
}

}  // namespace bovila::cpu
