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

/// Decays and moves elements [begin, end).
void AdamW::update(const torch::Tensor& values, const torch::Tensor& denominator, int64_t begin,
                   int64_t end, double lr) const {
  if (begin == end) return;
  const int64_t end_of_decay = std::clamp(num_decayed_, begin, end);
  if (weight_decay_ != 0) values.slice(0, begin, end_of_decay).mul_(1 - lr * weight_decay_);
  const double correction = 1 - std::pow(kBeta1, static_cast<double>(steps));
  values.slice(0, begin, end)
      .addcdiv_(first_moment.slice(0, begin, end), denominator.slice(0, begin, end),
                -lr / correction);
}

void AdamW::step(const torch::Tensor& values, const torch::Tensor& gradient, double lr) {
  const torch::NoGradGuard no_grad;
  ++steps;
  const double correction = 1 - std::pow(kBeta2, static_cast<double>(steps));
  first_moment.lerp_(gradient, 1 - kBeta1);
  second_moment.mul_(kBeta2).addcmul_(gradient, gradient, 1 - kBeta2);
  const auto denominator = (second_moment.sqrt() / std::sqrt(correction)).add_(kEps);
  const auto& [begin, end, scale] = scaled_rate;
  update(values, denominator, 0, begin, lr);
  update(values, denominator, begin, end, lr * scale);
  update(values, denominator, end, values.numel(), lr);
}

}  // namespace bovila
