// Which questions form which optimizer step, for any number of ranks.
// Fed by the deck's seed and batch sizes; feeds data/batch_loader.h and train/train_step.h.
//
// Each epoch has one global order from (seed, epoch). A step takes the next
// batch_size * ranks * accum_iter questions of it, so the position in an epoch is a number of
// questions and means the same at any number of ranks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace bovila {

/// A permutation of 0 .. count - 1: the order of an epoch.
std::vector<int64_t> epoch_order(int64_t count, uint64_t seed, int64_t epoch);

/// One optimizer step as one rank sees it.
struct StepPlan {
  std::vector<std::vector<int64_t>> micro_batches;  ///< this rank's questions; some may be empty
  int64_t num_questions = 0;                        ///< of all ranks
  int64_t num_local_losses =
      0;  ///< (rank, micro-batch) pairs with questions: the mean is over these
};

/// The step that starts after `position` questions of the epoch. The last micro-batch of an epoch
/// may be short: its questions are shared out evenly, and ranks left without any do not count in
/// the mean.
StepPlan plan_step(std::span<const int64_t> order, int64_t position, int64_t batch_size,
                   int64_t accum_iter, int64_t rank, int64_t ranks);

/// All steps after `position`, to the end of the epoch.
std::vector<StepPlan> plan_steps(std::span<const int64_t> order, int64_t position,
                                 int64_t batch_size, int64_t accum_iter, int64_t rank,
                                 int64_t ranks);

}  // namespace bovila
