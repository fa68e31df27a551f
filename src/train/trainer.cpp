// Epochs and what happens between them; the step itself is train/train_step.h.
#include "bovila/train/trainer.h"

#include "bovila/core/log.h"
#include "bovila/data/prefetcher.h"
#include "bovila/data/sampler.h"
#include "bovila/dist/agreement.h"
#include "bovila/train/checkpoint_fit.h"
#include "bovila/train/schedule.h"
#include "bovila/train/train_step.h"

namespace bovila {
namespace {

using Batch = std::vector<Example>;

constexpr int64_t kKeptCheckpoints = 2;

/// The plans of an epoch's steps from `position` on.
std::vector<StepPlan> plan_epoch(std::span<const int64_t> order, int64_t position,
                                 const TrainConfig& config, const Communicator& ranks) {
  std::vector<StepPlan> plans;
  while (position < static_cast<int64_t>(order.size())) {
    plans.push_back(plan_step(order, position, config.batch_size, config.accum_iter, ranks.rank(),
                              ranks.size()));
    position += plans.back().num_questions;
  }
  return plans;
}

/// Makes this rank's non-empty micro-batches in the order of the plans.
std::function<std::optional<Batch>()> batch_producer(const Dataset& data,
                                                     const std::vector<StepPlan>& plans) {
  std::vector<std::vector<int64_t>> wanted;
  for (const StepPlan& plan : plans) {
    for (const auto& rows : plan.micro_batches) {
      if (!rows.empty()) wanted.push_back(rows);
    }
  }
  return [&data, wanted = std::move(wanted), next = size_t{0}]() mutable -> std::optional<Batch> {
    if (next == wanted.size()) return std::nullopt;
    Batch batch;
    for (const int64_t row : wanted[next++]) batch.push_back(data.example(row));
    return batch;
  };
}

std::string losses_text(const StepReport& report) {
  std::string text;
  for (size_t i = 0; i < report.losses.size(); ++i) {
    if (report.losses[i] == 0) continue;  // a term that the deck leaves out
    text += fmt::format("{} {:.4g}, ", Losses::kNames[i], report.losses[i]);
  }
  return text;
}

}  // namespace

Trainer::Trainer(const Config& config, std::string deck, const Inputs& inputs, Bovila& model,
                 Communicator& ranks)
    : config_(config),
      deck_(std::move(deck)),
      inputs_(inputs),
      model_(model),
      ranks_(ranks),
      optimizer_(model.parameters().num_trained(), model.parameters().num_decayed(),
                 config.train.weight_decay, model.llama().device()) {
  if (inputs.train) rows_ = trainable_rows(*inputs.train, config.data.over_long, ranks);
  if (is_root()) {
    writer_ = std::make_unique<CheckpointWriter>(checkpoint_root(), kKeptCheckpoints);
  }
}

void Trainer::restore(const Checkpoint& checkpoint) {
  const torch::NoGradGuard no_grad;
  const TrainState& state = checkpoint.state;
  for (const Difference& change :
       require_fit(checkpoint.folder.string(), state, {deck_, {}, ranks_.size()})) {
    if (is_root()) log::info("changed since the checkpoint: {}", change.text());
  }
  from_arrays(state, model_.parameters());
  const auto restore_moment = [&](const char* name, torch::Tensor& moment) {
    const NamedArray* array = state.find(name);
    if (array == nullptr || static_cast<int64_t>(array->values.size()) != moment.numel()) {
      throw UserError("the checkpoint's '{}' does not fit this deck's trained parameters", name);
    }
    moment.copy_(torch::tensor(array->values));
  };
  restore_moment("adamw/first_moment", optimizer_.first_moment);
  restore_moment("adamw/second_moment", optimizer_.second_moment);
  if (state.loss_sums.size() != means_.sums.size()) {
    throw UserError("the checkpoint has {} running means, this program keeps {}",
                    state.loss_sums.size(), means_.sums.size());
  }
  optimizer_.steps = state.adamw_steps;
  step_ = state.step;
  epoch_ = state.epoch;
  position_ = state.position;
  means_.sums = state.loss_sums;
  means_.num_micro_batches = state.num_micro_batches;
  best_accuracy_ = state.best_accuracy;
  best_step_ = state.best_step;
}

TrainState Trainer::state() const {
  TrainState state;
  state.step = step_;
  state.epoch = epoch_;
  state.position = position_;
  state.adamw_steps = optimizer_.steps;
  state.num_ranks = ranks_.size();
  state.loss_sums = means_.sums;
  state.num_micro_batches = means_.num_micro_batches;
  state.best_accuracy = best_accuracy_;
  state.best_step = best_step_;
  state.deck = deck_;
  state.arrays = to_arrays(model_.parameters());
  const auto add_moment = [&](const char* name, const torch::Tensor& moment) {
    const auto host = moment.cpu();
    const float* values = host.data_ptr<float>();
    state.arrays.push_back({name, {host.numel()}, {values, values + host.numel()}});
  };
  add_moment("adamw/first_moment", optimizer_.first_moment);
  add_moment("adamw/second_moment", optimizer_.second_moment);
  return state;
}

std::filesystem::path Trainer::checkpoint_root() const {
  return std::filesystem::path(config_.output.folder) / "checkpoints";
}

void Trainer::set_aside_other_checkpoints() {
  run_together(ranks_, [&] {
    if (!is_root()) return;
    const int64_t last = step_ > 0 ? step_ : -1;
    for (const auto& path : set_aside(checkpoint_root(), last)) {
      log::warn("a checkpoint of another run was in the way: it is {} now", path.string());
    }
  });
}

Accuracy Trainer::run() {
  set_aside_other_checkpoints();
  while (epoch_ < config_.train.epochs) {
    train_epoch();
    finish_epoch();
  }
  if (writer_) writer_->wait();
  return accuracy_;
}

void Trainer::train_epoch() {
  const auto total = static_cast<int64_t>(rows_.size());
  auto order = epoch_order(total, static_cast<uint64_t>(config_.train.seed), epoch_);
  for (int64_t& place : order) place = rows_[static_cast<size_t>(place)];
  const auto plans = plan_epoch(order, position_, config_.train, ranks_);
  Prefetcher<Batch> batches(batch_producer(*inputs_.train, plans),
                            static_cast<size_t>(config_.run.prefetch_batches));
  const auto next = [&] { return batches.next().value(); };
  const auto noise = named_noise(static_cast<uint64_t>(config_.train.seed), epoch_,
                                 model_.llama().params().vocab_size);
  const double peak = base_learning_rate(config_.train, ranks_.size());
  const int64_t per_micro = config_.train.batch_size * ranks_.size();
  const auto micros = static_cast<double>((total + per_micro - 1) / per_micro);
  Progress progress(config_.output.log_every_steps, !is_root());
  for (const StepPlan& plan : plans) {
    const double done = static_cast<double>(position_) / static_cast<double>(per_micro);
    const double lr =
        learning_rate(config_.train, peak, static_cast<double>(epoch_) + done / micros);
    const auto report = train_step(model_, optimizer_, plan, next, config_.loss, noise, lr, ranks_);
    position_ += plan.num_questions;
    ++step_;
    means_.add(report);
    progress.update(
        fmt::format("epoch {} step {} ({} of {} questions), {}lr {:.3g}, gradient norm "
                    "{:.3g}",
                    epoch_, step_, position_, total, losses_text(report), lr, report.gradient_norm),
        plan.num_questions, total - position_, position_ == total);
  }
}

void Trainer::finish_epoch() {
  accuracy_ = evaluate_now(fmt::format("{}/epoch{}.json", config_.output.folder, epoch_));
  run_together(ranks_, [&] {
    if (!is_root()) return;
    append_record(config_.output.folder + "/log.txt", epoch_,
                  epoch_record(epoch_, means_, accuracy_));
  });
  if (is_root()) {
    log::info("epoch {} done: mean loss {:.4f}, accuracy {}", epoch_, means_.values()[0].second,
              to_text(accuracy_));
  }
  if (accuracy_.known() && accuracy_.total.value() > best_accuracy_) {
    best_accuracy_ = accuracy_.total.value();
    best_step_ = step_;
  }
  ++epoch_;
  position_ = 0;
  means_ = {};
  if (writer_) writer_->submit(state());
}

Accuracy Trainer::evaluate_now(const std::string& predictions_path) {
  Progress progress(config_.output.log_every_steps, !is_root());
  const auto scores =
      evaluate(model_, *inputs_.val, config_, ranks_,
               [&, before = int64_t{0}](int64_t done, int64_t total) mutable {
                 progress.update("evaluating", done - before, total - done, done == total);
                 before = done;
               });
  run_together(ranks_, [&] {
    if (is_root()) write_predictions(predictions_path, *inputs_.val, scores);
  });
  return measure(*inputs_.val, scores);
}

}  // namespace bovila
