// What a checkpoint holds of a run: taken from the trainer, and put back.
#include "bovila/checkpoint/run_folder.h"
#include "bovila/core/log.h"
#include "bovila/dist/agreement.h"
#include "bovila/train/trainer.h"

namespace bovila {
namespace {

/// A moment of the optimizer, under its name in a checkpoint.
struct Moment {
  const char* name;
  torch::Tensor AdamW::*member;
};
constexpr Moment kMoments[] = {{"adamw/first_moment", &AdamW::first_moment},
                               {"adamw/second_moment", &AdamW::second_moment}};

}  // namespace

void Trainer::restore(const Checkpoint& checkpoint) {
  run_together(ranks_.all(), [&] {
    if (is_root()) {
      const auto changes = require_fit(checkpoint.folder.string(), checkpoint.state, identity_);
      for (const Difference& change : changes) {
        log::info("changed since the checkpoint: {}", change.text());
      }
    }
    restore_state(checkpoint.state);
  });
  run_together(ranks_.all(), [&] {
    if (!is_root()) return;
    for (const auto& path : set_aside(checkpoint_root(config_), step_)) {
      log::warn("a checkpoint of a later step was in the way: it is {} now", path.string());
    }
    writer_->remove_old(best_step_);
  });
}

void Trainer::restore_state(const TrainState& state) {
  const torch::NoGradGuard no_grad;
  from_arrays(state, model_.parameters());
  for (const auto& [name, member] : kMoments) {
    torch::Tensor& moment = optimizer_.*member;
    const NamedArray* array = state.find(name);
    if (array == nullptr || std::ssize(array->values) != moment.numel()) {
      throw UserError("the checkpoint's '{}' does not fit this deck's trained parameters", name);
    }
    moment.copy_(torch::tensor(array->values));
  }
  auto loss_sums = state.loss_sums;
  if (loss_sums.size() == means_.sums.size() - 1) {  // saved by a bovila without loss_qav: 0 then
    const auto qav = std::ranges::find(kLossNames, "loss_qav") - kLossNames.begin();
    loss_sums.insert(loss_sums.begin() + qav, 0);
  }
  if (loss_sums.size() != means_.sums.size()) {
    throw UserError("the checkpoint has {} running means, this program keeps {}",
                    state.loss_sums.size(), means_.sums.size());
  }
  optimizer_.steps = state.adamw_steps;
  if (optimizer_.loss_scale.is_dynamic()) {
    optimizer_.loss_scale = {state.loss_scale, state.loss_scale_good_steps};
  }
  step_ = state.step;
  first_step_ = step_;
  skipped_in_a_row_ = state.skipped_in_a_row;
  epoch_ = state.epoch;
  position_ = state.position;
  means_.sums = std::move(loss_sums);
  means_.num_micro_batches = state.num_micro_batches;
  means_.num_skipped = state.num_skipped;
  scores_ = state.scores;
  best_accuracy_ = state.best_accuracy;
  best_step_ = state.best_step;
}

TrainState Trainer::state() const {
  TrainState state;
  state.step = step_;
  state.epoch = epoch_;
  state.position = position_;
  state.adamw_steps = optimizer_.steps;
  state.loss_scale = optimizer_.loss_scale.value();
  state.loss_scale_good_steps = optimizer_.loss_scale.good_steps();
  state.num_ranks = ranks_.data().size();
  state.loss_sums = means_.sums;
  state.num_micro_batches = means_.num_micro_batches;
  state.num_skipped = means_.num_skipped;
  state.skipped_in_a_row = skipped_in_a_row_;
  state.scores = scores_;
  state.best_accuracy = best_accuracy_;
  state.best_step = best_step_;
  state.deck = identity_.deck;
  state.identity = identity_.identity;
  state.build = identity_.build;
  state.arrays = to_arrays(model_.parameters());
  for (const auto& [name, member] : kMoments) {
    const auto host = (optimizer_.*member).cpu();
    const float* values = host.data_ptr<float>();
    state.arrays.push_back({name, {host.numel()}, {values, values + host.numel()}});
  }
  return state;
}

}  // namespace bovila
