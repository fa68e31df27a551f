// A matrix in any form, in memory of its own. Fed by numbers; for tests and measurements.
#pragma once

#include "bovila/config/config.h"
#include "src/weights/cpu/forms.h"
#include "src/weights/matrix_filler.h"

namespace bovila::testing {

/// Numbers [R, C]; kComputed: they themselves.
inline FrozenMatrix stored(const torch::Tensor& numbers, WeightForm form) {
  const int64_t rows = numbers.size(0), columns = numbers.size(1);
  FrozenMatrix to;
  switch (form) {
    case WeightForm::kComputed:
      return numbers;
    case WeightForm::kBf16:
      return numbers.to(torch::kBFloat16);
    case WeightForm::kFp16:
      return numbers.to(torch::kFloat16);
    case WeightForm::kInt8:
      to.values = torch::empty({rows, columns}, torch::kInt8);
      to.scales = torch::empty({rows});
      break;
    case WeightForm::kNf4Dq:
      to.scale_scales = torch::empty({(rows * nf4_blocks(columns) + 255) / 256});
      to.scale_map = torch::tensor(std::vector<float>(cpu::scale_map(), cpu::scale_map() + 256));
      to.scale_mean = torch::empty({});
      [[fallthrough]];
    case WeightForm::kNf4:
      to.values = torch::empty({rows, columns / 2}, torch::kUInt8);
      to.scales = torch::empty({rows, nf4_blocks(columns)},
                               to.has_double_scales() ? torch::kUInt8 : torch::kFloat32);
      break;
  }
  MatrixFiller(to).set(0, numbers, "numbers");
  return to;
}

}  // namespace bovila::testing
