// Pure functions of the deck and the time.
#include "bovila/train/schedule.h"

#include <cmath>
#include <numbers>

namespace bovila {

double base_learning_rate(const TrainConfig& config, int64_t ranks) {
  if (config.lr) return *config.lr;
  return config.blr * static_cast<double>(config.batch_size * config.accum_iter * ranks) / 256;
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
