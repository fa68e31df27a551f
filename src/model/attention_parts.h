// What the padded and the ragged form of attention have in common.
#pragma once

#include <cmath>
#include <optional>

#include "bovila/dist/libtorch.h"

namespace bovila {

/// Function::apply takes an undefined tensor only in this form.
using Maybe = std::optional<torch::Tensor>;

/// Of the products of queries [..., d] with keys.
inline double scale_of(const torch::Tensor& q) {
  return 1.0 / std::sqrt(static_cast<double>(q.size(-1)));
}

/// d(softmax input) from d(softmax output) and the output itself.
inline torch::Tensor softmax_backward(const torch::Tensor& grad, const torch::Tensor& output) {
  return torch::_softmax_backward_data(grad, output, -1, torch::kFloat32);
}

}  // namespace bovila
