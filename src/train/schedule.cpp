// Pure functions of the deck and the time.
#include "bovila/train/schedule.h"

#include <cmath>
#include <numbers>

namespace bovila {

int64_t questions_of_step(const TrainConfig& config, int64_t ranks) {
  if (config.questions_per_step > 0) return config.questions_per_step;
  return config.batch_size * config.accum_iter * ranks;
}

double part_of_epoch(const TrainConfig& config, int64_t position, int64_t total, int64_t ranks) {
  const int64_t per_micro = config.batch_size * (config.questions_per_step > 0 ? 1 : ranks);
  const int64_t num_micros = (total + per_micro - 1) / per_micro;
  const double done = static_cast<double>(position) / static_cast<double>(per_micro);
  return done / static_cast<double>(num_micros);
}

double base_learning_rate(const TrainConfig& config, int64_t ranks) {
  if (config.lr) return *config.lr;
  return config.blr * static_cast<double>(questions_of_step(config, ranks)) / 256;
}

double learning_rate(const TrainConfig& config, double lr, double epoch) {
  if (epoch < config.warmup_epochs) return lr * epoch / config.warmup_epochs;
  const double done =
      (epoch - config.warmup_epochs) / (static_cast<double>(config.epochs) - config.warmup_epochs);
  return config.min_lr + (lr - config.min_lr) * (1 + std::cos(std::numbers::pi * done)) / 2;
}

LossConfig losses_at(LossConfig config, double epoch) {
  if (epoch < config.aqa_warmup_epochs) config.aqa *= epoch / config.aqa_warmup_epochs;
  return config;
}

}  // namespace bovila
