// Dynamic loss scaling: keeps the small gradients of fp16 from becoming 0. SPEC 6.
// Fed and asked by train/train_step.h; kept in TrainState.
#pragma once

#include <cstdint>

namespace bovila {

/// Losses are multiplied by value() before the backward pass and gradients divided by it after the
/// reduction. An overflow halves it, and the step is skipped; kGrowthSteps good steps double it.
class LossScale {
 public:
  static constexpr double kStart = 65536;
  static constexpr int64_t kGrowthSteps = 2000;
  /// Below it the gradients themselves are too large for fp16, and no scale helps.
  static constexpr double kSmallest = 1.0 / 1024;

  /// Off: 1 for ever.
  LossScale() = default;
  static LossScale dynamic() { return {kStart, 0}; }
  /// As it was saved; a scale of 1 with no good steps may be either, so who restores says which.
  LossScale(double value, int64_t good_steps)
      : is_dynamic_(true), value_(value), good_steps_(good_steps) {}

  bool is_dynamic() const { return is_dynamic_; }
  double value() const { return value_; }
  int64_t good_steps() const { return good_steps_; }

  /// After each step. Nothing changes when it is off.
  void update(bool overflowed) {
    if (!is_dynamic_) return;
    if (overflowed) {
      value_ /= 2;
      good_steps_ = 0;
    } else if (++good_steps_ == kGrowthSteps) {
      value_ *= 2;
      good_steps_ = 0;
    }
  }

 private:
  bool is_dynamic_ = false;
  double value_ = 1;
  int64_t good_steps_ = 0;  // since the last change
};

}  // namespace bovila
