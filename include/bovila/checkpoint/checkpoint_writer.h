// Writes checkpoints while training goes on.
// Fed by the trainer on rank 0 with copies of its state; feeds checkpoint/checkpoint.h on a thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>

#include "bovila/checkpoint/train_state.h"

namespace bovila {

/// Saves to one ROOT (see checkpoint/checkpoint.h) and keeps the newest `keep` and the best (the
/// state's best_step) there. Its functions are called from one thread; last_saved_step and
/// num_failures from any.
///
/// A save that fails (disk full, read-only, quota) is never an exception: training is worth more
/// than one checkpoint, and the older ones are still there. In the background it is a warning in
/// the log.
class CheckpointWriter {
 public:
  /// @throws ProgramError when `keep` is less than 2.
  CheckpointWriter(std::filesystem::path root, int64_t keep);
  /// Waits for the save in progress.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  /// Saves in the background. Returns at once unless an earlier one is still being saved: then it
  /// waits for that.
  void submit(TrainState&& state);
  /// Waits for the save in progress, if any.
  /// @return nothing, or why what was submitted last is not on the disk.
  std::optional<std::string> wait();
  /// Saves before it returns, for the last checkpoint before an exit.
  /// @return nothing, or why the state is not on the disk, for the caller to say.
  std::optional<std::string> save_now(const TrainState& state);
  /// Deletes what is too old to be kept, as each save does: a kill may have come before that.
  void remove_old(int64_t best_step) noexcept;

  /// Of the newest save that succeeded; -1 before the first.
  int64_t last_saved_step() const { return last_saved_step_; }
  int64_t num_failures() const { return num_failures_; }

 private:
  std::optional<std::string> save(const TrainState& state) noexcept;

  const std::filesystem::path root_;
  const int64_t keep_;
  std::atomic<int64_t> last_saved_step_ = -1;
  std::atomic<int64_t> num_failures_ = 0;
  TrainState pending_;                 // the thread's while it runs
  std::optional<std::string> reason_;  // of pending_; the thread's while it runs
  std::thread thread_;
};

}  // namespace bovila
