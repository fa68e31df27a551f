// Arithmetic on the deck, and a few prompts.
#include "bovila/train/training_plan.h"

#include <algorithm>

#include "bovila/core/counted.h"
#include "bovila/core/error.h"
#include "bovila/train/memory_need.h"
#include "bovila/train/schedule.h"

namespace bovila {
namespace {

constexpr double kHighestRate = 100;  // train.lr's own

int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

/// What the peak rate follows from, for messages.
std::string rate_text(const TrainConfig& config, int64_t ranks) {
  if (config.lr) return fmt::format("train.lr = {}", *config.lr);
  return fmt::format(
      "train.blr * train.batch_size * train.accum_iter * ranks / 256 = {} * {} * {} "
      "* {} / 256",
      config.blr, config.batch_size, config.accum_iter, ranks);
}

/// Tokens of a question's prompt with one option, the mean over some questions all over the split.
double mean_length(const Dataset& data) {
  constexpr int64_t kMeasured = 32;
  const int64_t stride = std::max<int64_t>(1, data.size() / kMeasured);
  double tokens = 0, measured = 0;
  for (int64_t row = 0; row < data.size(); row += stride) {
    tokens += static_cast<double>(data.prompts().vqa(data.sample(row), 0).size());
    ++measured;
  }
  return tokens / measured;
}

/// Questions of a rank's largest batch.
double batch_of(const Dataset& data, int64_t batch_size, int64_t ranks) {
  return static_cast<double>(std::min(batch_size, divide_up(data.size(), ranks)));
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
  plan.per_step = config.batch_size * config.accum_iter * ranks;
  plan.steps_per_epoch = divide_up(questions, plan.per_step);
  plan.epochs = config.epochs;
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
        "train.epochs = 1 with train.batch_size * train.accum_iter * ranks = {} for {} "
        "is one step, and the warm-up's first step has the learning rate 0: nothing "
        "would be trained. Take smaller batches or train.warmup_epochs = 0",
        plan.per_step, counted(plan.questions, "question"));
  }
  std::vector<std::string> concerns;
  if (plan.per_step > plan.questions) {
    concerns.push_back(fmt::format(
        "train.batch_size * train.accum_iter * ranks = {} is more than the training "
        "split's {}: an epoch is one step, and the run has {}",
        plan.per_step, counted(plan.questions, "question"), counted(plan.epochs, "step")));
  }
  return concerns;
}

LeastMemory least_memory(const Config& config, const Inputs& inputs, int64_t ranks, bool on_gpu) {
  constexpr double kFloat = sizeof(float);
  constexpr double kCopies = 4;  // a parameter, its gradient, its two moments
  const LlamaParams& llama = inputs.llama;
  const ModelConfig& model = config.model;
  const auto dim = static_cast<double>(llama.dim), frames = static_cast<double>(model.max_feats);
  const auto adapted =
      static_cast<double>(model.adapter_layers == 0 ? llama.n_layers : model.adapter_layers);
  const double trained =
      dim * (static_cast<double>(model.adapter_len) * adapted + kFeatureDim + frames);
  const double value = model.precision == Precision::kFp32 || model.precision == Precision::kAuto
                           ? kFloat
                           : kFloat / 2;
  LeastMemory memory;
  memory.parameters = trained * kFloat * (inputs.train ? kCopies : 1);
  const auto ahead = [&](const Dataset& data, int64_t batch_size) {
    const auto batches =
        std::min(config.run.prefetch_batches, divide_up(divide_up(data.size(), ranks), batch_size));
    return static_cast<double>(batches) * batch_of(data, batch_size, ranks) * frames * kFeatureDim *
           kFloat;
  };
  const double batch = batch_of(*inputs.val, config.eval.batch_size, ranks);
  memory.batches = ahead(*inputs.val, config.eval.batch_size);
  if (!on_gpu) memory.evaluation = batch * mean_length(*inputs.val) * dim * value;
  if (!inputs.train) return memory;
  memory.batches = std::max(memory.batches, ahead(*inputs.train, config.train.batch_size));
  if (!on_gpu) {
    memory.layers = batch_of(*inputs.train, config.train.batch_size, ranks) *
                    mean_length(*inputs.train) * dim * value * static_cast<double>(llama.n_layers);
  }
  return memory;
}

void check_memory(const LeastMemory& memory, int64_t node_ranks, double node_bytes) {
  const double needed = memory.total() * static_cast<double>(node_ranks);
  if (needed <= node_bytes) return;
  throw UserError(
      "{} of this machine would need {:.1f} GB at least beside the weights, and it has {:.1f} GB. "
      "Of "
      "each rank: {:.1f} GB for trained parameters (model.adapter_len, model.max_feats), {:.1f} "
      "for "
      "batches that are read ahead (run.prefetch_batches times train.batch_size or eval.batch_size "
      "times model.max_feats), {:.1f} for a micro-batch in all layers (train.batch_size), {:.1f} "
      "for "
      "a batch that is scored (eval.batch_size)",
      counted(node_ranks, "rank"), needed / kGigabyte, node_bytes / kGigabyte,
      memory.parameters / kGigabyte, memory.batches / kGigabyte, memory.layers / kGigabyte,
      memory.evaluation / kGigabyte);
}

}  // namespace bovila
