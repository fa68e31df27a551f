// Arithmetic on the deck.
#include "bovila/train/training_plan.h"

#include <algorithm>

#include "bovila/core/counted.h"
#include "bovila/core/error.h"
#include "bovila/train/schedule.h"
#include "bovila/train/step_size.h"

namespace bovila {
namespace {

constexpr double kHighestRate = 100;  // train.lr's own

/// The keys that make a step, for messages.
std::string_view step_keys(const TrainConfig& config) {
  return config.questions_per_step > 0 ? "train.questions_per_step"
                                       : "train.batch_size * train.accum_iter * ranks";
}

/// What the peak rate follows from, for messages.
std::string rate_text(const TrainConfig& config, int64_t ranks) {
  if (config.lr) return fmt::format("train.lr = {}", *config.lr);
  if (config.questions_per_step > 0) {
    return fmt::format("train.blr * train.questions_per_step / 256 = {} * {} / 256", config.blr,
                       config.questions_per_step);
  }
  return fmt::format(
      "train.blr * train.batch_size * train.accum_iter * ranks / 256 = {} * {} * {} "
      "* {} / 256",
      config.blr, config.batch_size, config.accum_iter, ranks);
}

}  // namespace

void check_rates(const TrainConfig& config, int64_t ranks) {
  const double peak = base_learning_rate(config, ranks);
  const auto text = rate_text(config, ranks);
  const double widest = peak * std::max(1.0, config.visual_lr_scale);
  if (widest > kHighestRate) {
    throw UserError(
        "{}{} is a peak learning rate of {}, expected {} at most: a step of AdamW moves "
        "a parameter by about so much",
        text,
        config.visual_lr_scale > 1
            ? fmt::format(", times train.visual_lr_scale = {},", config.visual_lr_scale)
            : "",
        widest, kHighestRate);
  }
  if (config.min_lr > peak) {
    throw UserError("train.min_lr = {} is above the peak learning rate {} ({})", config.min_lr,
                    peak, text);
  }
  if (widest * config.weight_decay >= 1) {
    throw UserError(
        "the learning rate {} ({}) times train.weight_decay = {} is {}, expected less "
        "than 1: a step would leave nothing of a parameter",
        widest, text, config.weight_decay, widest * config.weight_decay);
  }
}

TrainingPlan plan_training(const TrainConfig& config, int64_t questions, int64_t ranks) {
  TrainingPlan plan;
  plan.questions = questions;
  plan.per_step = questions_of_step(config, ranks);
  plan.steps_per_epoch = (questions + plan.per_step - 1) / plan.per_step;
  plan.epochs = config.epochs;
  plan.ranks = ranks;
  plan.peak_rate = base_learning_rate(config, ranks);
  return plan;
}

std::string to_text(const TrainingPlan& plan) {
  return fmt::format("{} of {} of {}, the learning rate rises to {:.3g}",
                     counted(plan.epochs, "epoch"), counted(plan.steps_per_epoch, "step"),
                     counted(std::min(plan.per_step, plan.questions), "question"), plan.peak_rate);
}

std::vector<std::string> find_concerns(const TrainingPlan& plan, const TrainConfig& config) {
  const bool is_one_step = plan.steps_per_epoch * plan.epochs == 1;
  if (is_one_step && config.warmup_epochs > 0) {
    throw UserError(
        "train.epochs = 1 with {} = {} for {} "
        "is one step, and the warm-up's first step has the learning rate 0: nothing "
        "would be trained. Take smaller batches or train.warmup_epochs = 0",
        step_keys(config), plan.per_step, counted(plan.questions, "question"));
  }
  std::vector<std::string> concerns;
  if (auto idle = idle_ranks_text(config, plan.ranks); !idle.empty()) {
    concerns.push_back(std::move(idle));
  }
  if (plan.per_step > plan.questions) {
    concerns.push_back(fmt::format(
        "{} = {} is more than the training split's {}: an epoch is one step, and the run has {}",
        step_keys(config), plan.per_step, counted(plan.questions, "question"),
        counted(plan.epochs, "step")));
  }
  return concerns;
}

}  // namespace bovila
