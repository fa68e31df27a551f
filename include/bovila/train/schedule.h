// What changes over a run: the learning rate, linear warm-up, then half a cosine (SPEC 6), and the
// weight of self-questioning. Fed by the deck; feeds each optimizer step.
#pragma once

#include <cstdint>

#include "bovila/config/config.h"

namespace bovila {

/// Of a full optimizer step: train.questions_per_step, or batch_size * accum_iter * ranks.
int64_t questions_of_step(const TrainConfig& config, int64_t ranks);

/// How far `position` of an epoch's `total` questions is, 0 to 1, in micro-batches of all ranks;
/// with train.questions_per_step in those of one rank, whatever the number of ranks.
double part_of_epoch(const TrainConfig& config, int64_t position, int64_t total, int64_t ranks);

/// The deck's lr, or blr * (questions of a full optimizer step) / 256.
double base_learning_rate(const TrainConfig& config, int64_t ranks);

/// Learning rate at `epoch` (fractional: 1.5 is the middle of the second), for the peak rate `lr`.
double learning_rate(const TrainConfig& config, double lr, double epoch);

/// The weights at `epoch`: aqa has risen linearly for loss.aqa_warmup_epochs.
LossConfig losses_at(LossConfig config, double epoch);

}  // namespace bovila
