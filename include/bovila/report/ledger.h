// ledger.jsonl: what a run was doing when, over all its starts, also of those that were killed.
// Written by rank 0's trainer; read by tools/run_ledger.py, which works out where the time went.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>

namespace bovila {

enum class Doing { kLoading, kTraining, kEvaluating, kSaving, kEnded };

/// Appends rows {"time": seconds since 1970, "doing": ...}: each is what goes on from then to the
/// next row; one every ten seconds, so that little of what went on before a kill is not known. The
/// first of a start, "loading", has "job", Slurm's number, and "queued_since", when the job was put
/// into the queue, where they are known (SLURM_JOB_ID, BOVILA_QUEUED_SINCE); "training" and
/// "saving" have the "step" that they begin after, or save. What cannot be written is left out.
class Ledger {
 public:
  explicit Ledger(const std::filesystem::path& folder) : path_(folder / "ledger.jsonl") {}

  /// The start of this process, when it began.
  void load();
  void enter(Doing doing, int64_t step = -1);
  /// Something goes on as it did: a row, when the last one is ten seconds old.
  void tick();

 private:
  using Clock = std::chrono::steady_clock;
  void write(std::string row);

  std::filesystem::path path_;
  Doing doing_ = Doing::kLoading;
  Clock::time_point written_{};
};

}  // namespace bovila
