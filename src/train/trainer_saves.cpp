// When a run's state goes to the disk, and how a run ends that cannot put it there.
#include <thread>

#include "bovila/checkpoint/run_folder.h"
#include "bovila/core/log.h"
#include "bovila/dist/agreement.h"
#include "bovila/train/trainer.h"

namespace bovila {
namespace {

constexpr std::chrono::seconds kPauseBeforeLastTry{5};

/// What a run that could not save its last state can go on from.
std::string newest_text(const std::filesystem::path& root) {
  try {
    if (const auto newest = find_newest_valid(root)) {
      return fmt::format("the newest whole checkpoint is {}", newest->folder.string());
    }
  } catch (const UserError&) {  // there are some, and none is whole
  }
  return fmt::format("{} has no whole checkpoint", root.string());
}

}  // namespace

void Trainer::note(Doing doing) {
  if (!is_root()) return;
  if (!ledger_) ledger_ = std::make_unique<Ledger>(config_.output.folder);
  ledger_->enter(doing, step_);
}

/// What the rows tell must be on the disk before a checkpoint says that it was told.
void Trainer::save() {
  if (!is_root()) return;
  Stopwatch watch;
  note(Doing::kSaving);
  schedule_.saved(SaveSchedule::Clock::now());
  if (const auto reason = results_.flush()) {
    log::warn(
        "RESULTS NOT WRITTEN: {}. The run goes on, they are kept in memory and tried again; until "
        "then no checkpoint is saved",
        *reason);
  } else {
    writer_->submit(state());
  }
  checkpoint_s_ += watch.lap();
}

std::optional<std::string> Trainer::try_to_save() {
  if (auto reason = results_.flush()) return reason;
  return writer_->save_now(state());
}

std::optional<std::string> Trainer::save_last() {
  note(Doing::kSaving);
  auto reason = try_to_save();
  if (!reason) return std::nullopt;
  log::warn("NOT SAVED: step {}: {}. The last try is in {} s", step_, *reason,
            kPauseBeforeLastTry.count());
  std::this_thread::sleep_for(kPauseBeforeLastTry);
  reason = try_to_save();
  if (!reason) return std::nullopt;
  return fmt::format(
      "NOT ON THE DISK: the state after step {}, with which the run ends: {}. {}. Make room, then "
      "type the same command again: what came after that is computed once more",
      step_, *reason, newest_text(checkpoint_root(config_)));
}

void Trainer::stop(const StopReason& reason) {
  run_together(ranks_.all(), [&] {
    if (!is_root()) return;
    if (const auto lost = save_last()) {
      throw ProgramError("stopped by {}. {}", reason.text(), *lost);
    }
    log::info("stopped by {} at step {}: the same command, without --resume, goes on from there",
              reason.text(), step_);
  });
  note(Doing::kEnded);
  throw AgreedError(ExitCode::kPreempted, StopRequested(reason).what());
}

}  // namespace bovila
