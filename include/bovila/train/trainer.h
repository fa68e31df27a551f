// The run: epochs of optimizer steps, an evaluation and a saved state after each.
// Fed by train/experiment.h; feeds output.folder (log.txt, epoch{n}.json, checkpoints).
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bovila/config/config.h"
#include "bovila/dist/communicator.h"
#include "bovila/model/bovila.h"
#include "bovila/train/adamw.h"
#include "bovila/train/checkpoint.h"
#include "bovila/train/checkpoint_writer.h"
#include "bovila/train/experiment.h"
#include "bovila/train/metrics.h"
#include "bovila/train/train_state.h"

namespace bovila {

/// Trains a model. All member functions are collective, and an error on any rank is an AgreedError
/// on all.
class Trainer {
 public:
  /// `deck` is the resolved deck that is kept with each checkpoint.
  Trainer(const Config& config, std::string deck, const Inputs& inputs, Bovila& model,
          Communicator& ranks);

  /// Continues from a state that was saved between two steps. Not collective.
  /// @throws UserError listing every key of the deck that would make it another run, or when its
  /// arrays do not fit the model.
  void restore(const Checkpoint& checkpoint);
  /// Trains to the last epoch. Returns the last evaluation's accuracy.
  Accuracy run();
  /// Scores the validation split and logs the accuracy; writes predictions to `predictions_path`.
  Accuracy evaluate_now(const std::string& predictions_path);

 private:
  /// Renames checkpoints that are not of this run: those after the step it starts from.
  void set_aside_other_checkpoints();
  std::filesystem::path checkpoint_root() const;
  void train_epoch();
  void finish_epoch();
  TrainState state() const;
  bool is_root() const { return ranks_.rank() == 0; }

  const Config& config_;
  std::string deck_;
  const Inputs& inputs_;
  Bovila& model_;
  Communicator& ranks_;
  AdamW optimizer_;
  std::vector<int64_t> rows_;                 ///< of the training split that are trained on
  std::unique_ptr<CheckpointWriter> writer_;  ///< rank 0's
  Accuracy accuracy_;

  int64_t step_ = 0;
  int64_t epoch_ = 0;
  int64_t position_ = 0;  ///< questions of this epoch that all ranks have used
  EpochMeans means_;
  double best_accuracy_ = -1;
  int64_t best_step_ = -1;
};

}  // namespace bovila
