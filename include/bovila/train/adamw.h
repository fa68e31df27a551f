// AdamW on one flat vector. SPEC 6.
// Fed by model/adapters.h's buffer and its gradient; its state is saved by checkpoint/checkpoint.h.
#pragma once

#include "bovila/dist/libtorch.h"
#include "bovila/train/loss_scale.h"

namespace bovila {

/// Elements [begin, end) of the vector, whose learning rate is `scale` times the others'.
struct ScaledRate {
  int64_t begin = 0;
  int64_t end = 0;
  double scale = 1;
};

class AdamW {
 public:
  static constexpr double kBeta1 = 0.9, kBeta2 = 0.95, kEps = 1e-8;

  /// For vectors of `size` elements, of which the first `num_decayed` shrink by lr * weight_decay a
  /// step.
  AdamW(int64_t size, int64_t num_decayed, double weight_decay, torch::Device device);

  /// What a gradient of this norm is multiplied by before step(): less than 1 when it is longer
  /// than clip_norm, as by torch.nn.utils.clip_grad_norm_; 1 for a clip_norm of 0. Pure.
  double clip_factor(double norm) const;

  /// One step in place; `values` and `gradient` are [size], fp32. With lr comes the weight decay:
  /// both are scaled by scaled_rate. No host synchronisation.
  void step(const torch::Tensor& values, const torch::Tensor& gradient, double lr);

  torch::Tensor first_moment, second_moment;  // [size] fp32
  int64_t steps = 0;                          ///< taken so far
  LossScale loss_scale;                       ///< of the gradients that come; off but for fp16
  double clip_norm = 0;                       ///< see clip_factor()
  ScaledRate scaled_rate;                     ///< none by default

 private:
  void update(const torch::Tensor& values, const torch::Tensor& denominator, int64_t begin,
              int64_t end, double lr) const;

  int64_t num_decayed_;
  double weight_decay_;
};

}  // namespace bovila
