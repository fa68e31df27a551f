// A training in numbers before it begins: its steps, its rates, and the least memory that it takes.
// What settings cannot do together is said here, where the data, the weights and the machine are
// known; config/validate.h judges what a deck alone tells.
// Fed by the deck, train/experiment.h and the number of ranks; feeds the start of a run and
// --check.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "bovila/config/config.h"
#include "bovila/train/experiment.h"

namespace bovila {

/// Refuses rates that no training survives: a peak above 100 or below train.min_lr, or one that,
/// times train.weight_decay, takes all of a parameter in a step. Pure. @throws UserError.
void check_rates(const TrainConfig& config, int64_t ranks);

struct TrainingPlan {
  int64_t questions = 0;        ///< of the split
  int64_t per_step = 0;         ///< questions of a full step on all ranks
  int64_t steps_per_epoch = 0;  ///< the last one may be smaller
  int64_t epochs = 0;
  double peak_rate = 0;
};
TrainingPlan plan_training(const TrainConfig& config, int64_t questions, int64_t ranks);

/// "10 epochs of 45 steps of 128 questions, the learning rate rises to 0.045".
std::string to_text(const TrainingPlan& plan);

/// What is allowed and probably not meant, a line each. Pure.
/// @throws UserError for a plan whose every step has the rate 0.
std::vector<std::string> find_concerns(const TrainingPlan& plan, const TrainConfig& config);

/// Bytes that a rank takes on its host at least, beside the frozen weights.
struct LeastMemory {
  double parameters = 0;  ///< trained ones, with their gradient and moments where they are trained
  double batches = 0;     ///< frames of the batches that are read ahead
  double layers = 0;      ///< inputs of all layers that a micro-batch keeps; 0 on a GPU
  double evaluation = 0;  ///< inputs of one layer of a batch that is scored; 0 on a GPU

  double total() const { return parameters + batches + std::max(layers, evaluation); }
};
/// Prompts are taken as long as those of a few questions are on average. Not collective.
LeastMemory least_memory(const Config& config, const Inputs& inputs, int64_t ranks, bool on_gpu);

/// @throws UserError, with the keys to blame, when the ranks of a node need more than it has.
void check_memory(const LeastMemory& memory, int64_t node_ranks, double node_bytes);

}  // namespace bovila
