// From what is stored to numbers: rows by kernels on the CPU, whole matrices by operators
// elsewhere.
#include "bovila/weights/frozen_matrix.h"

#include <ATen/Parallel.h>

#include "bovila/core/error.h"
#include "src/weights/cpu/forms.h"

namespace bovila {
namespace {

using torch::Tensor;

static_assert(kNf4BlockSize == cpu::kNf4Block && kScaleBlockSize == cpu::kScaleBlock);

constexpr int64_t kWeightsAtOnce = 1 << 18;
constexpr Tensor FrozenMatrix::*kParts[] = {&FrozenMatrix::values, &FrozenMatrix::scales,
                                            &FrozenMatrix::scale_map, &FrozenMatrix::scale_scales,
                                            &FrozenMatrix::scale_mean};

/// fp32 scales of `count` blocks of a row of NF4 from `first` on; `scratch` holds those of dq.
const float* scales_of(const FrozenMatrix& matrix, int64_t row, int64_t first, int64_t count,
                       std::vector<float>& scratch) {
  const int64_t at = row * matrix.scales.size(1) + first;
  if (!matrix.has_double_scales()) return matrix.scales.const_data_ptr<float>() + at;
  scratch.resize(static_cast<size_t>(count));
  const cpu::DoubleScales from{
      matrix.scales.const_data_ptr<uint8_t>() + at, matrix.scale_map.const_data_ptr<float>(),
      matrix.scale_scales.const_data_ptr<float>(), *matrix.scale_mean.const_data_ptr<float>()};
  cpu::expand_scales(from, matrix.first_scale + at, count, scratch.data());
  return scratch.data();
}

void expand_row(const FrozenMatrix& matrix, int64_t row, int64_t first, int64_t count, float* out,
                std::vector<float>& scratch) {
  if (!matrix.is_nf4()) {
    const auto* stored = matrix.values.const_data_ptr<int8_t>() + row * matrix.columns() + first;
    return cpu::expand_int8(stored, matrix.scales.const_data_ptr<float>()[row], count, out);
  }
  const auto* packed =
      matrix.values.const_data_ptr<uint8_t>() + (row * matrix.columns() + first) / 2;
  const float* scales = scales_of(matrix, row, first / kNf4BlockSize, nf4_blocks(count), scratch);
  cpu::expand_nf4(packed, scales, count, out);
}

/// The two values of each byte of NF4, fp32 [256, 2].
Tensor nf4_pairs(torch::Device device) {
  const auto values = torch::tensor(std::vector<float>(cpu::nf4_values(), cpu::nf4_values() + 16));
  const auto high = values.repeat_interleave(16), low = values.repeat({16});
  return torch::stack({high, low}, 1).to(device);
}

/// fp32 numbers of int8 or NF4, by operators.
Tensor expanded_part(const FrozenMatrix& matrix) {
  if (!matrix.is_nf4()) {
    return (matrix.values * matrix.scales.unsqueeze(1)).mul_(7.874015718698502e-3);
  }
  const auto values = torch::embedding(nf4_pairs(matrix.values.device()),
                                       matrix.values.to(torch::kInt32));  // [R, C / 2, 2]
  const auto scales = matrix.plain_scales();
  if (matrix.columns() % kNf4BlockSize != 0) {
    const auto of_columns = scales.repeat_interleave(kNf4BlockSize, 1);
    return values.flatten(1) * of_columns.narrow(1, 0, matrix.columns());
  }
  const auto blocks = values.view({matrix.rows(), -1, kNf4BlockSize});
  return blocks.mul(scales.unsqueeze(-1)).view({matrix.rows(), -1});
}

}  // namespace

FrozenMatrix FrozenMatrix::row_range(int64_t first, int64_t count) const {
  FrozenMatrix out = *this;
  out.values = values.narrow(0, first, count);
  if (scales.defined()) out.scales = scales.narrow(0, first, count);
  if (has_double_scales()) out.first_scale = first_scale + first * scales.size(1);
  return out;
}

FrozenMatrix FrozenMatrix::column_range(int64_t first, int64_t count) const {
  if (first == 0 && count == columns()) return *this;
  if (is_floating()) return values.narrow(1, first, count);
  if (!is_nf4()) {
    FrozenMatrix out(values.narrow(1, first, count).contiguous());
    out.scales = scales;
    return out;
  }
  BOVILA_CHECK(
      first % kNf4BlockSize == 0 && (count % kNf4BlockSize == 0 || first + count == columns()),
      "columns {} to {} are no whole blocks of NF4", first, first + count);
  FrozenMatrix out(values.narrow(1, first / 2, count / 2).contiguous());
  out.scales = plain_scales().narrow(1, first / kNf4BlockSize, nf4_blocks(count)).contiguous();
  return out;
}

Tensor FrozenMatrix::expanded(torch::ScalarType type) const {
  if (is_floating()) return values.to(type);
  if (!values.is_cpu()) return expanded_by_operators(*this, type);
  const auto out = torch::empty({rows(), columns()}, type);
  expand_into(*this, 0, 0, out);
  return out;
}

Tensor FrozenMatrix::plain_scales() const {
  if (!has_double_scales()) return scales;
  const int64_t count = scales.numel(), first = first_scale / kScaleBlockSize;
  const int64_t end = (first_scale + count - 1) / kScaleBlockSize + 1;
  const auto units = scale_scales.narrow(0, first, end - first)
                         .repeat_interleave(kScaleBlockSize)
                         .narrow(0, first_scale - first * kScaleBlockSize, count);
  const auto codes = scales.flatten().to(torch::kInt32);
  return (scale_map.index_select(0, codes) * units + scale_mean).view(scales.sizes());
}

FrozenMatrix FrozenMatrix::copied_to(torch::Device device) const {
  FrozenMatrix out = *this;
  for (const auto part : kParts) {
    if (!(out.*part).defined()) continue;
    out.*part = (out.*part).to(device, (out.*part).scalar_type(), /*non_blocking=*/false,
                               /*copy=*/true);
  }
  return out;
}

void FrozenMatrix::copy_stored(const FrozenMatrix& other) const {
  for (const auto part : kParts) {
    if ((this->*part).defined()) (this->*part).copy_(other.*part);
  }
}

void expand_into(const FrozenMatrix& matrix, int64_t first_row, int64_t first_column,
                 const Tensor& out) {
  const int64_t rows = out.size(0), columns = out.size(1);
  if (matrix.is_floating()) {
    out.copy_(matrix.values.narrow(0, first_row, rows).narrow(1, first_column, columns));
  } else if (out.scalar_type() == torch::kFloat32) {
    constexpr int64_t kWeightsOfAThread = 1 << 14;
    at::parallel_for(0, rows, kWeightsOfAThread / columns + 1, [&](int64_t begin, int64_t end) {
      std::vector<float> scratch;
      for (int64_t row = begin; row < end; ++row) {
        expand_row(matrix, first_row + row, first_column, columns,
                   out.data_ptr<float>() + row * columns, scratch);
      }
    });
  } else {  // by way of fp32, a part that fits into the cache at a time
    const int64_t step = std::min(rows, kWeightsAtOnce / columns + 1);
    const auto floats = torch::empty({step, columns}, torch::kFloat32);
    for (int64_t row = 0; row < rows; row += step) {
      const auto part = floats.narrow(0, 0, std::min(step, rows - row));
      expand_into(matrix, first_row + row, first_column, part);
      out.narrow(0, row, part.size(0)).copy_(part);
    }
  }
}

// One fused kernel, which reads 4 bits and writes a tile of the product's type, would go here once
// a card can measure it: this passes over memory four times, a part of the matrix at a time.
Tensor expanded_by_operators(const FrozenMatrix& matrix, torch::ScalarType type) {
  if (matrix.is_floating()) return matrix.values.to(type);
  constexpr int64_t kWeightsOfAPart = 1 << 24;
  const auto out =
      torch::empty({matrix.rows(), matrix.columns()}, matrix.values.options().dtype(type));
  const int64_t step = kWeightsOfAPart / matrix.columns() + 1;
  for (int64_t row = 0; row < matrix.rows(); row += step) {
    const int64_t count = std::min(step, matrix.rows() - row);
    out.narrow(0, row, count).copy_(expanded_part(matrix.row_range(row, count)));
  }
  return out;
}

}  // namespace bovila
