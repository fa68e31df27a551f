// The micro-batches of one rank, read and tokenised in the background while a step runs.
// Fed by data/dataset.h in the order of data/sampler.h; feeds train/train_step.h.
#pragma once

#include <span>
#include <vector>

#include "bovila/data/dataset.h"
#include "bovila/data/prefetcher.h"
#include "bovila/data/sampler.h"

namespace bovila {

class BatchLoader {
 public:
  /// Starts to read at once, at most `ahead` micro-batches before they are asked for. `data` must
  /// outlive it; `steps` is copied.
  BatchLoader(const Dataset& data, std::span<const StepPlan> steps, size_t ahead);

  /// The next micro-batch of the steps that has questions. There must be one.
  /// @throws UserError for features that cannot be read.
  std::vector<Example> next() { return batches_.next().value(); }

 private:
  Prefetcher<std::vector<Example>> batches_;
};

}  // namespace bovila
