// One optimizer step: batch, forward, losses, backward, reduce, step.
// Fed by train/trainer.h with micro-batches; feeds report/metrics.h with what happened. SPEC 5-6.
#pragma once

#include <functional>
#include <vector>

#include "bovila/config/config.h"
#include "bovila/data/sampler.h"
#include "bovila/dist/communicator.h"
#include "bovila/dist/preemption.h"
#include "bovila/model/bovila.h"
#include "bovila/objective/objective.h"
#include "bovila/report/step_report.h"
#include "bovila/train/adamw.h"

namespace bovila {

/// Gives this rank's next micro-batch; called once for each non-empty one of the plan, in order.
using NextBatch = std::function<std::vector<Example>()>;

/// Collective. Adds up the gradients of the local losses, takes their mean over all ranks and
/// micro-batches that have questions, weighted as the plan says, and steps. Before each micro-batch
/// the ranks agree whether to stop: then the step is not taken, parameters and moments are as
/// before it, and whoever resumes computes its micro-batches again, to the same bits. A rank's
/// error becomes every rank's AgreedError. A loss or gradient that is not finite, on whatever rank
/// it came up, is in every rank's report. In all these cases parameters and moments are as before
/// the step.
StepReport train_step(Bovila& model, AdamW& optimizer, const StepPlan& plan, const NextBatch& next,
                      const LossConfig& config, const NoiseSource& noise, double lr,
                      Communicator& ranks, const Preemption& preemption);

}  // namespace bovila
