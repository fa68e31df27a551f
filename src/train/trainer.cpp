// Epochs and what happens between them; the step itself is train/train_step.h.
#include "bovila/train/trainer.h"

#include <ATen/record_function.h>
#include <fmt/ranges.h>

#include "bovila/checkpoint/run_folder.h"
#include "bovila/core/durable_file.h"
#include "bovila/core/log.h"
#include "bovila/core/system.h"
#include "bovila/data/batch_loader.h"
#include "bovila/data/sampler.h"
#include "bovila/dist/agreement.h"
#include "bovila/dist/memory_use.h"
#include "bovila/train/schedule.h"
#include "bovila/train/team_times.h"
#include "bovila/train/train_step.h"

namespace bovila {
namespace {

std::string losses_text(const StepReport& report) {
  std::string text;
  for (size_t i = 0; i < report.losses.size(); ++i) {
    if (report.losses[i] == 0) continue;  // a term that the deck leaves out
    text += fmt::format("{} {:.4g}, ", kLossNames[i], report.losses[i]);
  }
  return text;
}

constexpr std::chrono::seconds kBetweenShows{2};

ScaledRate projection_rate(const AdapterParameters& parameters, double scale) {
  const NamedParameter& projection = parameters.entry("visual_proj.weight");
  return {projection.offset, projection.offset + projection.numel, scale};
}

}  // namespace

Trainer::Trainer(const Config& config, RunIdentity identity, const Inputs& inputs, Bovila& model,
                 const RankGrid& ranks, const Preemption& preemption)
    : config_(config),
      identity_(std::move(identity)),
      inputs_(inputs),
      model_(model),
      ranks_(ranks),
      preemption_(preemption),
      optimizer_(model.parameters().num_trained(), model.parameters().num_decayed(),
                 config.train.weight_decay, model.llama().device()),
      results_(config.output.folder, config.output.tensorboard),
      schedule_(config.checkpoint, SaveSchedule::Clock::now()),
      profile_(std::filesystem::path(config.output.folder) /
                   fmt::format("profile-rank{}.json", ranks.all().rank()),
               config.run.profile_steps),
      hosts_(ranks.all().all_gather(host_name())) {
  optimizer_.clip_norm = config.train.clip_norm;
  if (config.train.visual_lr_scale != 1) {
    // Only then: a vector that is stepped in parts may round differently from one stepped whole.
    optimizer_.scaled_rate = projection_rate(model.parameters(), config.train.visual_lr_scale);
  }
  if (config.model.precision == Precision::kFp16) optimizer_.loss_scale = LossScale::dynamic();
  if (inputs.train) {
    rows_ = trainable_rows(*inputs.train, config.data.over_long, ranks.all(), preemption);
  }
  if (is_root()) {
    writer_ = std::make_unique<CheckpointWriter>(checkpoint_root(config), config.checkpoint.keep);
  }
}

std::string Trainer::describe_spoiled(const StepReport& report) const {
  constexpr size_t kMaxShown = 20;
  std::vector<std::string> ids;
  for (const int64_t row : report.suspects) {
    if (ids.size() == kMaxShown) break;
    ids.push_back(inputs_.train->sample(row).question_id);
  }
  const size_t others = report.suspects.size() - ids.size();
  return fmt::format(
      "step {}: {} (from questions {}{})", step_ + 1, report.non_finite,
      ids.empty() ? "of all ranks together" : fmt::format("{}", fmt::join(ids, ", ")),
      others > 0 ? fmt::format(" and {} others", others) : "");
}

void Trainer::skip_or_fail(const StepReport& report) {
  const bool may_skip = config_.train.non_finite == NonFinite::kSkip;
  const int64_t most = config_.train.max_skipped_steps;
  const std::string what = describe_spoiled(report);
  if (may_skip && skipped_in_a_row_ < most) {
    ++skipped_in_a_row_;
    if (is_root()) log::warn("{}: no update, {} skipped in a row", what, skipped_in_a_row_);
    return;
  }
  std::string lost;
  run_together(ranks_.all(), [&] {
    // Nothing to keep: what it started from is on the disk, or never was good.
    const bool is_new =
        step_ > first_step_ && model_.parameters().flat().isfinite().all().item<bool>();
    if (is_root() && is_new) lost = save_last().value_or("");
  });
  throw AgreedError(
      ExitCode::kFailure,
      fmt::format(
          "{}: training stopped on all ranks before the update{}. Parameters are those of "
          "the last finite step. {}{}{}",
          what, may_skip ? fmt::format(", {} were skipped in a row", most) : "",
          advice_for_non_finite(model_,
                                "A smaller lr, train.clip_norm or precision = \"fp32\" may help; "
                                "train.non_finite = \"skip\" leaves such steps out"),
          lost.empty() ? "" : ". ", lost));
}

Accuracy Trainer::run() {
  run_together(ranks_.all(), [&] {
    if (is_root()) results_.resume_at(step_, epoch_);
  });
  while (!is_done()) {
    train_epoch();
    finish_epoch();
  }
  run_together(ranks_.all(), [&] {
    if (!is_root()) return;
    if (const auto lost = save_last()) throw ProgramError("the run is trained. {}", *lost);
  });
  note(Doing::kEnded);
  return accuracy_;
}

double Trainer::epoch_now() const {
  return static_cast<double>(epoch_) +
         part_of_epoch(config_.train, position_, std::ssize(rows_), ranks_.data().size());
}

double Trainer::learning_rate_now() const {
  return learning_rate(config_.train, base_learning_rate(config_.train, ranks_.data().size()),
                       epoch_now());
}

std::string Trainer::step_text(const StepReport& report) const {
  return fmt::format("epoch {} step {} ({} of {} questions), {}lr {:.3g}, gradient norm {:.3g}",
                     epoch_ + 1, step_, position_, rows_.size(), losses_text(report), report.lr,
                     report.gradient_norm);
}

void Trainer::warn_of_other_bits(const StepReport& report) {
  if (report.has_bits_of_group || has_other_bits_) return;
  has_other_bits_ = true;
  log::warn(
      "{}: its gradient has other last bits than that of the group's first rank, which is taken: "
      "the group's processors, or what LibTorch does on them, differ. Said once",
      ranks_.tensor()->who());
}

void Trainer::show_results() {
  const auto now = SaveSchedule::Clock::now();
  if (now - shown_ < kBetweenShows) return;
  results_.show();
  shown_ = now;
}

void Trainer::record_step(const StepReport& report, int64_t num_questions, StepTimer& timer) {
  RECORD_USER_SCOPE("records");
  const TeamTimes team = gather_times(report.times, hosts_, ranks_);
  if (!is_root()) return;
  results_.add_step(step_record(epoch_, step_, report),
                    timer.record(step_, num_questions, team, std::exchange(checkpoint_s_, 0)));
  ledger_->tick();
  show_results();
}

void Trainer::train_epoch() {
  const auto total = std::ssize(rows_);
  if (position_ == total) return;  // resumed before its evaluation
  note(Doing::kTraining);
  auto order = epoch_order(total, static_cast<uint64_t>(config_.train.seed), epoch_);
  for (int64_t& place : order) place = rows_[static_cast<size_t>(place)];
  const auto& train = config_.train;
  const StepSize size{train.batch_size, train.accum_iter, train.questions_per_step};
  const auto steps = plan_steps(order, position_, size, ranks_.data().rank(), ranks_.data().size());
  BatchLoader batches(*inputs_.train, steps, static_cast<size_t>(config_.run.prefetch_batches));
  const auto noise = named_noise(static_cast<uint64_t>(config_.train.seed), epoch_,
                                 model_.llama().params().vocab_size);
  Progress progress(config_.output.log_every_steps, !is_root());
  StepTimer timer(
      peak_tokens_per_s(model_.llama().params(), ranks_.all().size(), config_.run.peak_tflops));
  for (const StepPlan& plan : steps) {
    const double lr = learning_rate_now();
    const LossConfig losses = losses_at(config_.loss, epoch_now());
    ranks_.set_stage(fmt::format("step {}", step_ + 1));
    profile_.step_begins();
    const auto report = train_step(
        model_, optimizer_, plan, [&] { return batches.next(); }, losses, noise, lr, ranks_,
        preemption_);
    if (report.stopped) stop(report.stopped);
    if (report.non_finite.empty()) {
      skipped_in_a_row_ = 0;
    } else {
      skip_or_fail(report);
    }
    position_ += plan.num_questions;
    ++step_;
    means_.add(report);
    warn_of_other_bits(report);
    if (report.overflowed && is_root()) {
      log::warn("step {}: fp16 gradients overflowed, no update; the loss scale is {} now", step_,
                optimizer_.loss_scale.value());
    }
    record_step(report, plan.num_questions, timer);
    progress.update(step_text(report), plan.num_questions, total - position_, position_ == total);
    if (position_ == total || schedule_.is_due(step_, SaveSchedule::Clock::now())) {
      save();
      if (position_ < total) note(Doing::kTraining);
    }
  }
}

void Trainer::finish_epoch() {
  ranks_.set_stage(fmt::format("evaluation of epoch {}", epoch_ + 1));
  note(Doing::kEvaluating);
  auto [scores, stopped, num_over_long] = score_validation(progress_of("evaluating"));
  AskedQuestions asked;
  if (!stopped) asked = ask_validation();
  if (stopped || asked.stopped) {
    scores_ = std::move(scores);
    stop(stopped ? stopped : asked.stopped);
  }
  accuracy_ = measure(*inputs_.val, scores);
  accuracy_.num_over_long = num_over_long;
  if (is_root()) {
    const double temperature = config_.eval.temperature;
    results_.add_epoch(epoch_, epoch_record(epoch_, means_, accuracy_),
                       predictions_text(*inputs_.val, scores, temperature),
                       questions_text(*inputs_.val, scores, asked.text, temperature),
                       calibration_text(*inputs_.val, scores,
                                        calibration_of(identity_.identity, step_), temperature));
    log::info("epoch {} done: mean loss {:.4f}, accuracy {}", epoch_ + 1, means_.values()[0].second,
              to_text(accuracy_));
  }
  if (accuracy_.known() && accuracy_.total.value() > best_accuracy_) {
    best_accuracy_ = accuracy_.total.value();
    best_step_ = step_;
  }
  ++epoch_;
  position_ = 0;
  means_ = {};
  scores_.clear();
  if (!is_done()) save();  // the last state is saved by run(), which ends with it
  report_memory();
}

void Trainer::report_memory() {
  const auto texts = ranks_.all().all_gather(memory_text(model_.llama().device()));
  if (!is_root()) return;
  for (size_t rank = 0; rank < texts.size(); ++rank) {
    log::info("memory of rank {}: {}", rank, texts[rank]);
  }
}

CalibrationOf Trainer::calibration_of(const std::map<std::string, std::string>& identity,
                                      int64_t step) const {
  return {inputs_.val->split(), identity.at("data.val_split"), step};
}

EvaluationProgress Trainer::progress_of(const std::string& what) const {
  // Shared: a function can be copied, the line cannot.
  const auto progress = std::make_shared<Progress>(config_.output.log_every_steps, !is_root());
  return [what, before = int64_t{0}, progress](int64_t done, int64_t total) mutable {
    progress->update(what, done - before, total - done, done == total);
    before = done;
  };
}

Evaluation Trainer::score_validation(const EvaluationProgress& progress) {
  return bovila::evaluate(model_, *inputs_.val, config_, ranks_, preemption_, std::move(scores_),
                          progress);
}

AskedQuestions Trainer::ask_validation() {
  if (!config_.eval.ask) return {};
  return ask_split(model_, *inputs_.val, *inputs_.tokenizer, config_, ranks_, preemption_,
                   progress_of("asking"));
}

Accuracy Trainer::evaluate(const EvalRecord& record) {
  const auto [scores, stopped, num_over_long] = score_validation(
      [this, show = progress_of("evaluating")](int64_t done, int64_t total) mutable {
        profile_.step_begins();
        show(done, total);
      });
  AskedQuestions asked;
  if (!stopped) asked = ask_validation();
  const StopReason reason = stopped ? stopped : asked.stopped;
  if (reason) throw AgreedError(ExitCode::kPreempted, StopRequested(reason).what());
  Accuracy accuracy = measure(*inputs_.val, scores);
  accuracy.num_over_long = num_over_long;
  run_together(ranks_.all(), [&, &scores = scores] {
    if (!is_root()) return;
    const std::filesystem::path folder = config_.output.folder;
    const std::string about = to_text(record, accuracy);
    if (const auto other = other_evaluation(folder, about)) {
      log::warn("the eval.json that was in {} is of another evaluation ({}): it is in {} now",
                folder.string(), *other, move_evaluation_aside(folder).string());
    }
    write_file_durably(folder / "eval-record.json", about);
    const double temperature = config_.eval.temperature;
    write_file_durably(folder / "eval.json", predictions_text(*inputs_.val, scores, temperature));
    write_file_durably(folder / "questions.jsonl",
                       questions_text(*inputs_.val, scores, asked.text, temperature));
    CalibrationOf of = calibration_of(record.identity, record.step);
    of.differences = record.differences;
    if (const auto video = record.settings.find("eval.video"); video != record.settings.end()) {
      of.differences.push_back("eval.video = " + video->second);  // turns leave the given order be
    }
    write_or_remove(folder / "calibration.json",
                    calibration_text(*inputs_.val, scores, of, temperature));
  });
  return accuracy;
}

}  // namespace bovila
