// Why a run should end before it is done, and the ranks' agreement that it does.
// Fed by signals (Slurm, mpirun, a terminal), `bovila stop` and the job's time limit; asked by
// train/experiment.h while loading, by train/train_step.h before each micro-batch and by
// evaluation/ before each batch.
//
// A signal only sets a flag. Whoever is asked next throws, saves or passes it on: see
// train/trainer.h for what happens then. The exit code is ExitCode::kPreempted.
#pragma once

#include <chrono>
#include <csignal>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "bovila/config/config.h"

namespace bovila {

class Communicator;

/// What asked a run to stop: nothing (code 0), a signal (its number), the time limit, or a command.
struct StopReason {
  static constexpr int64_t kTimeLimit = 1000;
  static constexpr int64_t kCommand = 1001;
  int64_t code = 0;

  explicit operator bool() const { return code != 0; }
  /// "SIGUSR1", "its time limit", "`bovila stop`"
  std::string text() const;
};

/// Thrown between two pieces of long work. run_local() and agree() make it AgreedError with
/// ExitCode::kPreempted on all ranks.
struct StopRequested : std::runtime_error {
  explicit StopRequested(const StopReason& reason);
};

/// How long from now a run may go on, or nothing when it has no limit: up to the earlier of
/// `run.time_limit_minutes` from now and the Slurm job's end (`slurm_end`: the text of
/// SLURM_JOB_END_TIME in seconds since 1970, empty outside Slurm), less
/// `run.stop_before_limit_s`; where the limit is less than twice that away, half of the time. Pure.
std::optional<std::chrono::duration<double>> time_to_stop(
    const RunConfig& config, std::string_view slurm_end, std::chrono::system_clock::time_point now);

/// Catches TERM, USR1, USR2 and HUP from now on, until a Preemption is made: that one takes over,
/// with what came meanwhile. For a program's .preinit_array, which runs before the constructors of
/// its libraries: those of LibTorch take a while.
extern "C" void catch_stop_signals_early();

/// The request of this process. One object at a time; it catches TERM, USR1, USR2 and HUP (unless
/// it is ignored, as nohup has it) from its construction on, and on a terminal INT, of which a
/// second one ends the program at once. PIPE is ignored: a run outlives the reader of its messages.
class Preemption {
 public:
  Preemption();
  ~Preemption() { stand_down(); }
  Preemption(const Preemption&) = delete;
  Preemption& operator=(const Preemption&) = delete;

  /// The deck's choice: `run.stop_signals` instead of the four, and the time limits, with the
  /// Slurm job's as the environment has it.
  void configure(const RunConfig& config);

  /// Signals do again what they did before this object, and there is no limit: for a program that
  /// has nothing to save. One that came before still counts.
  void stand_down();

  /// Asks this rank to stop, as a signal does. Any thread.
  static void request(const StopReason& reason);
  /// What asked this rank to stop, if anything. Cheap; any thread.
  StopReason requested() const;
  /// Collective: what asked any rank to stop. One small reduction.
  StopReason agreed(Communicator& ranks) const;
  /// @throws StopRequested when this rank was asked to.
  void check() const;

 private:
  void set_signals(const std::vector<std::string>& names);
  void set_action(int signal, const struct sigaction& action);

  std::map<int, struct sigaction> before_;  // of the signals that are caught
  std::optional<std::chrono::steady_clock::time_point> deadline_;
};

}  // namespace bovila
