// A training in numbers before it begins: its steps and its rates. What settings cannot do together
// is said here, where the data and the ranks are known; config/validate.h judges what a deck alone
// tells.
// Fed by the deck and the numbers of questions and ranks; feeds the start of a run and --check.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bovila/config/config.h"

namespace bovila {

/// Refuses rates that no training survives: a peak above 100 or below train.min_lr, or one that,
/// times train.weight_decay, takes all of a parameter in a step. Pure. @throws UserError.
void check_rates(const TrainConfig& config, int64_t ranks);

struct TrainingPlan {
  int64_t questions = 0;        ///< of the split
  int64_t per_step = 0;         ///< questions of a full step on all ranks
  int64_t steps_per_epoch = 0;  ///< the last one may be smaller
  int64_t epochs = 0;
  int64_t ranks = 1;
  double peak_rate = 0;
};
TrainingPlan plan_training(const TrainConfig& config, int64_t questions, int64_t ranks);

/// "10 epochs of 45 steps of 128 questions, the learning rate rises to 0.045".
std::string to_text(const TrainingPlan& plan);

/// What is allowed and probably not meant, a line each. Pure.
/// @throws UserError for a plan whose every step has the rate 0.
std::vector<std::string> find_concerns(const TrainingPlan& plan, const TrainConfig& config);

}  // namespace bovila
