// What a run says: the rows of report/result_files.h, progress and summary lines.
// Fed by train/train_step.h and evaluation/evaluator.h; read by people and their scripts. SPEC 7.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bovila/data/dataset.h"
#include "bovila/data/option_order.h"
#include "bovila/evaluation/option_scores.h"
#include "bovila/objective/loss_names.h"
#include "bovila/report/step_report.h"
#include "bovila/report/step_times.h"
#include "bovila/report/turns.h"

namespace bovila {

/// Means of an epoch over its micro-batches on all ranks. Steps that were not finite only count.
class EpochMeans {
 public:
  void add(const StepReport& step);
  /// "loss", "loss_vqa", ..., "uncertainty", "gradient_norm", "lr" in that order.
  std::vector<std::pair<std::string, double>> values() const;

  std::vector<double> sums = std::vector<double>(kLossNames.size() + 2);
  int64_t num_micro_batches = 0;
  int64_t num_skipped = 0;
};

/// How many of a split's questions were answered right, in all, by type and in the figures that the
/// data set's users know (QuestionTypes). Splits that hide their answers have none.
struct Accuracy {
  struct Group {
    std::string name;  ///< the data set's: "In", "Acc_C"
    int64_t right = 0;
    int64_t questions = 0;
    double value() const;
  };
  std::vector<Group> types;    ///< those that the split has
  std::vector<Group> figures;  ///< over several types
  bool with_mean = false;      ///< mean_of_types() is one of the figures
  Group total;
  double mean_uncertainty = 0;  ///< of the chosen options
  double guessed = 0;           ///< right answers to expect of guessing, and their variance
  double guessed_variance = 0;
  LetterCounts right, chosen;  ///< the letters in the prompts, of right answers and of chosen ones
  int64_t num_over_long = 0;   ///< set by the caller: Evaluation::num_over_long
  std::optional<TurnedAnswers> turned;  ///< with eval.options = "rotations"

  bool known() const { return total.questions > 0; }
  double mean_of_types() const;
  /// Not more than two standard deviations above guessing.
  bool is_like_guessing() const;
};
Accuracy measure(const Dataset& data, std::span<const OptionScores> scores);
/// "78.20 % of 4 questions (In 79.00, Seq 60.50; mean of types 69.75), mean uncertainty 0.410"
std::string to_text(const Accuracy& accuracy);
/// "right answers: A 3, B 0, C 5, D 4; chosen: A 12, B 0, C 0, D 0"
std::string letters_text(const Accuracy& accuracy);

/// A line for each probe of an evaluation (eval.video, eval.options): what it shows, how many were
/// right then, and what guessing gives.
std::vector<std::string> probe_lines(const EvalConfig& eval, const Accuracy& accuracy);

/// epoch{n}.json: a list of {vid, qid, qtype, pre, ans, u}, letters from A; `question_id` is the
/// data set's own id, `type` the type's name, a list of several, left out where there is none;
/// `ans` is left out where the split hides it. `probability` is the chosen option's and `entropy`
/// that of all options, 0 to 1, of the softmax of minus the scores / temperature. Where options
/// were turned, `turns` has the option chosen in each order, and `majority` that of most.
std::string predictions_text(const Dataset& data, std::span<const OptionScores> scores,
                             double temperature = 1);

/// questions.jsonl: one JSON object a question, the fields of epoch{n}.json and `question`,
/// `options`, each option's `loss` (the lowest wins) and `uncertainty`, `frames`, what the model
/// was shown, in order: [{"video", "rows"}, ...] with rows of the feature set (none: a video that
/// it lacks, a zero row), and `asked`, the question that the model asked itself
/// (evaluation/questioner.h), where it did.
std::string questions_text(const Dataset& data, std::span<const OptionScores> scores,
                           const std::map<int64_t, std::string>& asked, double temperature = 1);

/// One JSON object of metrics.jsonl: the step that was just taken, the first being 1. A step
/// without an update has "skipped": true; a number that is not finite is null.
std::string step_record(int64_t epoch, int64_t step, const StepReport& report);
/// Makes the rows of timing.jsonl, which no two runs have in common.
class StepTimer {
 public:
  /// @param peak_tokens_per_s what `share_of_peak` refers to; 0: not stated
  explicit StepTimer(double peak_tokens_per_s = 0) : peak_tokens_per_s_(peak_tokens_per_s) {}

  /// For the step that was just taken: `time`, seconds since 1970; `questions_per_s` and
  /// `tokens_per_s` since the step before, or since the timer was made, and, where a peak is
  /// stated, `share_of_peak`, the tokens' share of its; the ranks' mean `data_s`,
  /// `compute_s`, `others_s` and `update_s` (report/step_times.h); `checkpoint_s` since the row
  /// before; `slowest` and `fastest`, a rank's name, with its `slowest_s`, `fastest_s`.
  std::string record(int64_t step, int64_t questions, const TeamTimes& team, double checkpoint_s);

 private:
  double peak_tokens_per_s_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};
/// One JSON object of log.txt: train_*, epoch, val_*.
std::string epoch_record(int64_t epoch, const EpochMeans& train, const Accuracy& val);

/// One line about where a long loop is: rewritten in place on a terminal, a log line now and then
/// in a job's log.
class Progress {
 public:
  /// `every`: steps between log lines when standard error is no terminal.
  Progress(int64_t every, bool quiet);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Takes the line away.
  ~Progress();
  /// The line "`text`, 12.3 questions/s, ETA 1:02:03", in place the other way round, since its end
  /// may not fit (core/live_line.h); `remaining` questions follow in this loop.
  void update(const std::string& text, int64_t questions, int64_t remaining, bool last);

 private:
  using Clock = std::chrono::steady_clock;
  int64_t every_;
  bool quiet_;
  bool live_;
  int64_t calls_ = 0;
  int64_t questions_ = 0;
  Clock::time_point start_ = Clock::now();
};

/// 3723.4 as "1:02:03".
std::string clock_text(double seconds);

}  // namespace bovila
