// Which questions form which optimizer step, for any number of ranks.
// Fed by the deck's seed and batch sizes; feeds data/batch_loader.h and train/train_step.h.
//
// Each epoch has one global order from (seed, epoch). A step takes the next
// batch_size * ranks * accum_iter questions of it, or train.questions_per_step, so the position in
// an epoch is a number of questions and means the same at any number of ranks.
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
  int64_t num_local_losses = 0;                     ///< (rank, micro-batch) pairs with questions
  /// 0: the step's loss is the mean of the local losses. Else each counts by its questions, a
  /// micro-batch of so many counting 1.
  int64_t full_batch = 0;

  /// What this rank's micro-batch m counts, and what all of all ranks do: the mean is over these.
  double weight(size_t m) const;
  double total_weight() const;
};

/// The step that starts after `position` questions of the epoch. The last micro-batch of an epoch
/// may be short: its questions are shared out evenly, and ranks left without any do not count in
/// the mean.
StepPlan plan_step(std::span<const int64_t> order, int64_t position, int64_t batch_size,
                   int64_t accum_iter, int64_t rank, int64_t ranks);

/// The step of `questions`, a multiple of `batch_size`, that starts after `position`: its
/// micro-batches are those of one rank alone, dealt out to the ranks in turn. Each question counts
/// the same at any number of ranks; a short micro-batch ends an epoch alone. All ranks have as many
/// micro-batches, some of them empty.
StepPlan plan_dealt_step(std::span<const int64_t> order, int64_t position, int64_t batch_size,
                         int64_t questions, int64_t rank, int64_t ranks);

/// What a step is made of: train.batch_size, train.accum_iter and train.questions_per_step.
struct StepSize {
  int64_t batch_size = 1;
  int64_t accum_iter = 1;
  int64_t questions = 0;  ///< 0: batch_size * accum_iter of each rank
};

/// All steps after `position`, to the end of the epoch.
std::vector<StepPlan> plan_steps(std::span<const int64_t> order, int64_t position,
                                 const StepSize& size, int64_t rank, int64_t ranks);

}  // namespace bovila
