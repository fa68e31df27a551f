// When a checkpoint is due between the ends of epochs.
// Fed by the deck's checkpoint.every_steps and every_minutes; asked by train/trainer.h each step.
#pragma once

#include <chrono>
#include <cstdint>

#include "bovila/config/config.h"

namespace bovila {

/// By steps: at multiples of every_steps, so that resumed runs save at the same ones. By time:
/// since the last save, on the steady clock. Either is off when it is 0.
class SaveSchedule {
 public:
  using Clock = std::chrono::steady_clock;

  SaveSchedule(const CheckpointConfig& config, Clock::time_point now)
      : every_steps_(config.every_steps), every_(config.every_minutes), last_(now) {}

  bool is_due(int64_t step, Clock::time_point now) const {
    return (every_steps_ > 0 && step % every_steps_ == 0) ||
           (every_.count() > 0 && now - last_ >= every_);
  }
  void saved(Clock::time_point now) { last_ = now; }

 private:
  int64_t every_steps_;
  std::chrono::duration<double, std::ratio<60>> every_;
  Clock::time_point last_;
};

}  // namespace bovila
