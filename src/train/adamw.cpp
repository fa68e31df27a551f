// The update of Loshchilov and Hutter 2019, in the order of operations that PyTorch uses.
#include "bovila/train/adamw.h"

#include <algorithm>
#include <cmath>

namespace bovila {

AdamW::AdamW(int64_t size, int64_t num_decayed, double weight_decay, torch::Device device)
    : first_moment(torch::zeros({size}, torch::TensorOptions(torch::kFloat32).device(device))),
      second_moment(torch::zeros_like(first_moment)),
      num_decayed_(num_decayed),
      weight_decay_(weight_decay) {}

double AdamW::clip_factor(double norm) const {
  constexpr double kEpsilon = 1e-6;  // PyTorch's
  return clip_norm > 0 ? std::min(1.0, clip_norm / (norm + kEpsilon)) : 1;
}

void AdamW::step(const torch::Tensor& values, const torch::Tensor& gradient, double lr) {
  const torch::NoGradGuard no_grad;
  ++steps;
  const auto count = static_cast<double>(steps);
  const double correction1 = 1 - std::pow(kBeta1, count);
  const double correction2 = 1 - std::pow(kBeta2, count);
  if (weight_decay_ != 0) values.narrow(0, 0, num_decayed_).mul_(1 - lr * weight_decay_);
  first_moment.lerp_(gradient, 1 - kBeta1);
  second_moment.mul_(kBeta2).addcmul_(gradient, gradient, 1 - kBeta2);
  const auto denominator = (second_moment.sqrt() / std::sqrt(correction2)).add_(kEps);
  values.addcdiv_(first_moment, denominator, -lr / correction1);
}

}  // namespace bovila
