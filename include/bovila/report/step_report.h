// What one optimizer step did, in numbers, without LibTorch.
// Fed by train/train_step.h; feeds report/metrics.h. SPEC 5-6.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "bovila/dist/preemption.h"
#include "bovila/objective/loss_names.h"
#include "bovila/report/step_times.h"

namespace bovila {

/// What one optimizer step did, the same on all ranks but for `times`.
struct StepReport {
  std::array<double, kLossNames.size()> losses{};  ///< means over ranks and micro-batches
  /// Of the mean gradient, before it is clipped; 0 on overflow.
  double gradient_norm = 0;
  double gate1 = 0;  ///< mean |tanh(gate1)| over layers and heads, before the step: how far open
  double gate2 = 0;  ///< mean of gate2, before the step: the bias to video tokens
  double lr = 0;
  int64_t num_questions = 0;      ///< of all ranks
  int64_t num_micro_batches = 0;  ///< (rank, micro-batch) pairs with questions
  bool overflowed = false;        ///< fp16: the update was left out and the loss scale halved
  StopReason stopped;             ///< set: the step was not taken, and all of the above is 0
  /// "loss_vaq is nan": set when a loss or the gradient is not finite, and the step was not taken.
  std::string non_finite = {};
  std::vector<int64_t> suspects = {};  ///< then: see StepTrace::suspects
  StepTimes times = {};                ///< this rank's
  /// Whether this rank computed the bits of its group's first rank's gradient, which is taken.
  bool has_bits_of_group = true;

  /// The parameters and moments are as before.
  bool is_skipped() const { return overflowed || !non_finite.empty(); }
};

}  // namespace bovila
