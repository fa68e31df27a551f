// The run: epochs of optimizer steps, an evaluation after each, checkpoints all along.
// Fed by train/experiment.h; feeds report/result_files.h and checkpoint/checkpoint_writer.h.
//
// Messages count epochs from 1; files, as the published code's, from 0.
//
// A run is a function of the deck and the number of ranks: stopped, killed and resumed anywhere, it
// leaves the same bits (checkpoints, log.txt, metrics.jsonl, epoch{n}.json, questions.jsonl) as in
// one go. What makes it so: the state is saved between two optimizer steps, or between two batches
// of an evaluation; everything random has a key of its own (core/random.h); rows for people are on
// the disk before the checkpoint that follows them, and dropped when an older one is resumed from.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bovila/checkpoint/checkpoint.h"
#include "bovila/checkpoint/checkpoint_fit.h"
#include "bovila/checkpoint/checkpoint_writer.h"
#include "bovila/checkpoint/save_schedule.h"
#include "bovila/checkpoint/train_state.h"
#include "bovila/config/config.h"
#include "bovila/dist/preemption.h"
#include "bovila/dist/rank_grid.h"
#include "bovila/evaluation/questioner.h"
#include "bovila/model/bovila.h"
#include "bovila/report/calibration.h"
#include "bovila/report/eval_record.h"
#include "bovila/report/ledger.h"
#include "bovila/report/metrics.h"
#include "bovila/report/result_files.h"
#include "bovila/report/step_profile.h"
#include "bovila/train/adamw.h"
#include "bovila/train/experiment.h"

namespace bovila {

/// Trains a model. All member functions are collective, and an error on any rank is an AgreedError
/// on all; a stop (dist/preemption.h) is one with ExitCode::kPreempted, thrown when the state is
/// saved.
class Trainer {
 public:
  /// `deck` and `identity` (rank 0's counts) are kept with each checkpoint.
  Trainer(const Config& config, RunIdentity identity, const Inputs& inputs, Bovila& model,
          const RankGrid& ranks, const Preemption& preemption);

  /// Continues from a saved state, and takes checkpoints of later steps out of the way.
  /// @throws AgreedError listing every difference that would make it another run, or when the
  /// arrays do not fit the model.
  void restore(const Checkpoint& checkpoint);
  /// Whether all epochs are done: run() would return at once.
  bool is_done() const { return epoch_ >= config_.train.epochs; }
  /// Optimizer steps taken, and the step after the best evaluation with its accuracy (-1: none).
  int64_t step() const { return step_; }
  int64_t best_step() const { return best_step_; }
  double best_accuracy() const { return best_accuracy_; }
  /// Trains to the last epoch. Returns the last evaluation's accuracy. @throws AgreedError also
  /// when the last state cannot be saved: it says what is on the disk.
  Accuracy run();
  /// Scores the validation split and returns the accuracy; writes eval.json, eval-record.json of
  /// `record`, questions.jsonl and calibration.json. An eval.json of other settings or files is
  /// moved aside.
  Accuracy evaluate(const EvalRecord& record);

 private:
  void train_epoch();
  void finish_epoch();
  /// 1.5 in the middle of the second epoch.
  double epoch_now() const;
  /// For the step after `position_` questions.
  double learning_rate_now() const;
  /// Rows of the step that was just taken, of all ranks' times too.
  void record_step(const StepReport& report, int64_t num_questions, StepTimer& timer);
  /// The progress line of the step that was just taken.
  std::string step_text(const StepReport& report) const;
  /// A progress line for a loop over this rank's share of the validation split.
  EvaluationProgress progress_of(const std::string& what) const;
  CalibrationOf calibration_of(const std::map<std::string, std::string>& identity,
                               int64_t step) const;
  Evaluation score_validation(const EvaluationProgress& progress);
  /// What the model asks itself about the validation split; nothing unless the deck says eval.ask.
  AskedQuestions ask_validation();
  /// For a step that was not taken because its numbers are not finite: skips it, as the deck says.
  /// @throws AgreedError when it says stop, or when too many were skipped in a row; what was
  /// trained until then is saved before.
  void skip_or_fail(const StepReport& report);
  std::string describe_spoiled(const StepReport& report) const;
  TrainState state() const;
  void restore_state(const TrainState& state);
  /// Once a run, on the rank that it is about.
  void warn_of_other_bits(const StepReport& report);
  /// Notes what goes on from now on. Rank 0 alone does something.
  void note(Doing doing);
  /// Saves in the background. Rank 0 alone does something.
  void save();
  /// Rank 0's: lets people see the rows of steps, every two seconds.
  void show_results();
  /// Rank 0's: saves rows and state before it returns, once more after a pause when it fails.
  /// @return nothing, or what is not on the disk and what to do: the run ends here.
  std::optional<std::string> save_last();
  std::optional<std::string> try_to_save();
  /// Saves at once, and throws on all ranks.
  [[noreturn]] void stop(const StopReason& reason);
  /// What each rank uses, once an epoch.
  void report_memory();
  bool is_root() const { return ranks_.all().rank() == 0; }

  const Config& config_;
  RunIdentity identity_;
  const Inputs& inputs_;
  Bovila& model_;
  RankGrid ranks_;
  const Preemption& preemption_;
  AdamW optimizer_;
  std::vector<int64_t> rows_;                 ///< of the training split that are trained on
  std::unique_ptr<CheckpointWriter> writer_;  ///< rank 0's
  ResultFiles results_;                       ///< rank 0's
  SaveSchedule::Clock::time_point shown_{};   ///< when rows were shown last
  SaveSchedule schedule_;
  StepProfile profile_;
  std::vector<std::string> hosts_;  ///< of all ranks
  std::unique_ptr<Ledger> ledger_;  ///< rank 0's
  double checkpoint_s_ = 0;         ///< spent on saving since the last row of timing.jsonl
  bool has_other_bits_ = false;     ///< than the first rank of its group, in some step
  Accuracy accuracy_;

  int64_t step_ = 0;
  int64_t first_step_ = 0;  ///< that this process has started from
  int64_t epoch_ = 0;
  int64_t position_ = 0;          ///< questions of this epoch that all ranks have used
  int64_t skipped_in_a_row_ = 0;  ///< steps that were not finite, up to now
  EpochMeans means_;
  std::vector<OptionScores> scores_;  ///< of this epoch's evaluation, when it was stopped
  double best_accuracy_ = -1;
  int64_t best_step_ = -1;
};

}  // namespace bovila
