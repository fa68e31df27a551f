// A matrix of the frozen LLaMA as it is stored, and its numbers. SPEC 13.
// Fed by weights/llama_weights.h; feeds model/frozen_linear.h.
//
//   floating point  one number a weight, in any type
//   int8            stored * scale / 127, one fp32 scale a row, the row's largest magnitude
//   NF4             one of 16 values a weight times a scale, one fp32 scale for 64 weights of a
//   row,
//                   or for what is left of it at its end
//   NF4-dq          the same with scales in 8 bits: a value of a map times one fp32 for 256 scales,
//                   plus the mean of all
//
// int8 and NF4 are bitsandbytes' own: values have its bits (in fp32, then rounded to the type asked
// for). It lets blocks go on from row to row, so for NF4 that is said of rows of whole blocks
// alone.
#pragma once

#include "bovila/dist/libtorch.h"

namespace bovila {

inline constexpr int64_t kNf4BlockSize = 64;
inline constexpr int64_t kScaleBlockSize = 256;
/// Scales of a row of NF4.
constexpr int64_t nf4_blocks(int64_t columns) {
  return (columns + kNf4BlockSize - 1) / kNf4BlockSize;
}

struct FrozenMatrix {
  FrozenMatrix() = default;
  FrozenMatrix(torch::Tensor floats) : values(std::move(floats)) {}  // NOLINT: any tensor is one

  torch::Tensor values;  // [R, C] floating point or int8; NF4: uint8 [R, C / 2], the first weight
                         // of two in the high bits
  torch::Tensor scales;  // int8: fp32 [R]; NF4: fp32, dq: uint8, [R, nf4_blocks(C)]
  // dq alone, of the whole matrix that these rows are of:
  torch::Tensor scale_map;     // fp32 [256]
  torch::Tensor scale_scales;  // fp32 [scales / 256, rounded up]
  torch::Tensor scale_mean;    // fp32 []
  int64_t first_scale = 0;     // number of the first of `scales` in the whole matrix

  bool is_floating() const { return values.is_floating_point(); }
  bool is_nf4() const { return values.scalar_type() == torch::kUInt8; }
  bool has_double_scales() const { return scale_map.defined(); }
  int64_t rows() const { return values.size(0); }
  int64_t columns() const { return is_nf4() ? 2 * values.size(1) : values.size(1); }

  /// Whether both consist of the same tensors in the same types.
  bool has_form_of(const FrozenMatrix& other) const {
    return values.scalar_type() == other.values.scalar_type() &&
           has_double_scales() == other.has_double_scales();
  }
  /// Writes what another whole matrix of this form and shape has into this one's memory.
  void copy_stored(const FrozenMatrix& other) const;

  /// `count` rows from `first` on, in the same memory.
  FrozenMatrix row_range(int64_t first, int64_t count) const;
  /// `count` columns from `first` on; of int8 and NF4 in memory of their own, scales of NF4-dq in
  /// fp32. NF4's columns begin at a multiple of 64, and end at one or the matrix's end.
  FrozenMatrix column_range(int64_t first, int64_t count) const;
  /// All numbers, [R, C], in a floating point type; `values` itself where it has that type.
  torch::Tensor expanded(torch::ScalarType type) const;
  /// NF4's scales in fp32, [R, nf4_blocks(C)].
  torch::Tensor plain_scales() const;
  /// The same in memory of `device`, nothing of it shared with this.
  FrozenMatrix copied_to(torch::Device device) const;
};

/// Numbers [n, m] of the rows from `first_row` and the columns from `first_column` on into `out`
/// [n, m], contiguous, floating point. On the CPU; NF4's columns begin at a multiple of 64,
/// and end at one or the matrix's end.
void expand_into(const FrozenMatrix& matrix, int64_t first_row, int64_t first_column,
                 const torch::Tensor& out);

/// As `expanded`, with LibTorch's operators alone, on any device.
torch::Tensor expanded_by_operators(const FrozenMatrix& matrix, torch::ScalarType type);

}  // namespace bovila
