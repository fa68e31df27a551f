// One optimizer step: batch, forward, losses, backward, reduce, step.
// Fed by train/trainer.h with micro-batches; feeds report/metrics.h with what happened. SPEC 5-6.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bovila/config/config.h"
#include "bovila/data/sampler.h"
#include "bovila/dist/communicator.h"
#include "bovila/dist/preemption.h"
#include "bovila/model/bovila.h"
#include "bovila/objective/objective.h"
#include "bovila/train/adamw.h"

namespace bovila {

/// What one optimizer step did, the same on all ranks.
struct StepReport {
  std::array<double, Losses::kNames.size()> losses{};  ///< means over ranks and micro-batches
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

  /// The parameters and moments are as before.
  bool is_skipped() const { return overflowed || !non_finite.empty(); }
};

/// Gives this rank's next micro-batch; called once for each non-empty one of the plan, in order.
using NextBatch = std::function<std::vector<Example>()>;

/// Collective. Adds up the gradients of the local losses, takes their mean over all ranks and
/// micro-batches that have questions, and steps. Before each micro-batch the ranks agree whether to
/// stop: then the step is not taken, parameters and moments are as before it, and whoever resumes
/// computes its micro-batches again, to the same bits. A rank's error becomes every rank's
/// AgreedError. A loss or gradient that is not finite, on whatever rank it came up, is in every
/// rank's report. In all these cases parameters and moments are as before the step.
StepReport train_step(Bovila& model, AdamW& optimizer, const StepPlan& plan, const NextBatch& next,
                      const LossConfig& config, const NoiseSource& noise, double lr,
                      Communicator& ranks, const Preemption& preemption);

}  // namespace bovila
