// A trace of a few steps for ui.perfetto.dev or chrome://tracing: each operator and each part of a
// step by name, on the device too.
// Fed by the deck's run.profile_steps and driven by train/trainer.h; the parts are the
// RECORD_USER_SCOPEs of objective/, evaluation/ and train/. Costs nothing when it is off.
#pragma once

#include <cstdint>
#include <filesystem>

namespace bovila {

/// Traces LibTorch's operators of this thread. One at a time in a process.
class StepProfile {
 public:
  /// Traces `num_steps` steps (or batches of an evaluation) into `file`; 0 traces none. Those
  /// before kFirstStep set up threads, kernels and memory, and are left out.
  StepProfile(std::filesystem::path file, int64_t num_steps);
  /// Ends a trace that is under way, and warns when none was begun.
  ~StepProfile();
  StepProfile(const StepProfile&) = delete;
  StepProfile& operator=(const StepProfile&) = delete;

  /// Before each step. Begins the trace, or ends it and writes the file. What cannot be written is
  /// a warning: a trace is no reason to stop a run.
  void step_begins();

  static constexpr int64_t kFirstStep = 3;  // counted from 1

 private:
  void finish();

  std::filesystem::path file_;
  int64_t num_steps_;
  int64_t steps_ = 0;  // that have begun
  bool is_tracing_ = false;
};

}  // namespace bovila
