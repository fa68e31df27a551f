// Row by row on all threads; scales of scales last, when all scales are known.
#include "src/weights/matrix_filler.h"

#include <ATen/Parallel.h>

#include "bovila/core/error.h"
#include "src/weights/cpu/forms.h"

namespace bovila {
namespace {

using torch::Tensor;

bool same_form(const FrozenMatrix& from, const FrozenMatrix& to) {
  return from.values.scalar_type() == to.values.scalar_type() && !to.has_double_scales();
}

}  // namespace

void MatrixFiller::set(int64_t first, const FrozenMatrix& rows, const std::string& name) {
  if (!to_.values.defined()) to_ = make_();
  const auto to = to_.row_range(first, rows.rows());
  if (to.is_floating()) {
    to.values.copy_(rows.is_floating() ? rows.values : rows.expanded(to.values.scalar_type()));
  } else if (same_form(rows, to)) {
    to.values.copy_(rows.values);
    to.scales.copy_(rows.plain_scales());
  } else {
    quantise(first, rows.expanded(torch::kFloat32).contiguous(), name);
  }
  rows_left_ -= rows.rows();
  BOVILA_CHECK(rows_left_ >= 0, "{}: more rows than the matrix has", name);
  if (rows_left_ > 0) return;
  if (to_.has_double_scales()) finish();
  if (!take_) return;
  take_(to_);
  to_ = {};
}

/// Where fp32 scales go.
Tensor MatrixFiller::plain_scales() {
  if (!to_.has_double_scales()) return to_.scales;
  if (!scales_.defined()) scales_ = torch::empty(to_.scales.sizes(), torch::kFloat32);
  return scales_;
}

void MatrixFiller::quantise(int64_t first, const Tensor& rows, const std::string& name) {
  const auto to = to_.row_range(first, rows.size(0));
  const auto scales_of_rows = plain_scales().narrow(0, first, rows.size(0));
  const int64_t columns = rows.size(1);
  const auto* from = rows.const_data_ptr<float>();
  auto* scales = scales_of_rows.data_ptr<float>();
  at::parallel_for(0, rows.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* values = from + row * columns;
      if (to.is_nf4()) {
        cpu::quantise_nf4(values, columns, to.values.data_ptr<uint8_t>() + row * columns / 2,
                          scales + row * nf4_blocks(columns));
      } else {
        scales[row] =
            cpu::quantise_int8(values, columns, to.values.data_ptr<int8_t>() + row * columns);
      }
    }
  });
  if (scales_of_rows.isfinite().all().item<bool>()) return;
  throw UserError(
      "{} has values that are not finite, which {} cannot hold: the file is damaged, or set "
      "model.weights = \"computed\"",
      name, to.is_nf4() ? "NF4" : "int8");
}

void MatrixFiller::finish() {
  const auto mean = scales_.mean();
  to_.scale_mean.copy_(mean);
  cpu::quantise_scales(scales_.const_data_ptr<float>(), mean.item<float>(), scales_.numel(),
                       to_.scales.data_ptr<uint8_t>(), to_.scale_scales.data_ptr<float>());
  scales_ = Tensor();
}

}  // namespace bovila
