// Where the time of a step went: on each rank, and on all together.
// Fed by train/train_step.h; feeds the rows of timing.jsonl (report/metrics.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace bovila {

/// Of one rank and step, in seconds of its host. A GPU computes on while its host goes on: there
/// forward and backward end in the wait for the others.
struct StepTimes {
  double data_s = 0;     ///< waiting for batches
  double compute_s = 0;  ///< forward and backward
  double others_s = 0;   ///< in collectives: waiting for the slowest, and communication itself
  double update_s = 0;   ///< AdamW
  int64_t tokens = 0;    ///< of the prompts of all passes, none of them padding

  /// What the others wait for.
  double busy_s() const { return data_s + compute_s; }
};

/// Of all ranks.
struct TeamTimes {
  StepTimes mean;  ///< tokens: the sum
  int slowest = 0, fastest = 0;
  double slowest_s = 0, fastest_s = 0;     ///< their busy_s()
  std::string slowest_name, fastest_name;  ///< "rank 3 on n1"
};

/// Laps of the steady clock.
class Stopwatch {
 public:
  /// Seconds since the lap before, or since it was made.
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const std::chrono::duration<double> taken = now - last_;
    last_ = now;
    return taken.count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace bovila
