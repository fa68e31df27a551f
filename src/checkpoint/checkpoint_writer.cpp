// One thread a save: saves are minutes apart, and a thread that lives no longer than its work
// needs no queue and no protocol for its end.
#include "bovila/checkpoint/checkpoint_writer.h"

#include <chrono>
#include <system_error>
#include <utility>

#include "bovila/checkpoint/checkpoint.h"
#include "bovila/core/error.h"
#include "bovila/core/log.h"

namespace bovila {

CheckpointWriter::CheckpointWriter(std::filesystem::path root, int64_t keep)
    : root_(std::move(root)), keep_(keep) {
  BOVILA_CHECK(keep >= 2, "expected at least 2 checkpoints to keep, got {}", keep);
}

CheckpointWriter::~CheckpointWriter() {
  wait();
}

void CheckpointWriter::submit(TrainState&& state) {
  wait();
  pending_ = std::move(state);
  const auto work = [this] {
    reason_ = save(pending_);
    if (reason_) {
      log::warn(
          "CHECKPOINT NOT SAVED: step {}: {}. The run goes on and older checkpoints stay; until a "
          "later one is saved, a kill loses what was computed since them",
          pending_.step, *reason_);
    }
    pending_ = {};  // its memory is wanted back before the next one comes
  };
  try {
    thread_ = std::thread(work);
  } catch (const std::system_error&) {  // no thread to be had: later is worse than slower
    work();
  }
}

std::optional<std::string> CheckpointWriter::wait() {
  if (thread_.joinable()) thread_.join();
  return reason_;
}

std::optional<std::string> CheckpointWriter::save_now(const TrainState& state) {
  wait();
  return save(state);
}

std::optional<std::string> CheckpointWriter::save(const TrainState& state) noexcept {
  try {
    const auto start = std::chrono::steady_clock::now();
    const bool written = save_checkpoint(root_, state);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    last_saved_step_ = state.step;
    log::info("checkpoint of step {} {} ({:.1f} s)", state.step,
              written ? "saved" : "was there already", seconds.count());
    remove_old(state.best_step);
    return std::nullopt;
  } catch (const std::exception& error) {
    ++num_failures_;
    return error.what();
  }
}

void CheckpointWriter::remove_old(int64_t best_step) noexcept {
  try {
    retain(root_, keep_, best_step);
  } catch (const std::exception& error) {
    log::warn("old checkpoints were not deleted: {}", error.what());
  }
}

}  // namespace bovila
