// Writes hang-rankN.json into a run's folder when ranks wait in vain, or when a rank gets SIGQUIT,
// and has one of them say in a sentence who is waited for.
// Fed by dist/hang/collective_record.h; made by main for as long as a run computes.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "bovila/dist/communicator.h"
#include "bovila/dist/hang/collective_record.h"
#include "bovila/dist/hang/hang_report.h"
#include "bovila/dist/hang/thread_stacks.h"

namespace bovila {

/// A thread beside the rank's work. Ranks that hang hear no message, so they hear of each other by
/// a file: the first rank that waits in vain, or gets SIGQUIT, makes hang.request; every rank's
/// thread looks for it once a second and writes its report; rank 0's logs the sentence and removes
/// the file, or, when rank 0 has not done so in time, the lowest other rank's that reported.
/// SIGQUIT ends nothing.
class HangReporter {
 public:
  static constexpr const char* kRequest = "hang.request";

  /// Collective: all ranks know where the others are. The folder is there; `record`, which all
  /// communicators of this rank are noted in, outlives this object. `device`: for people.
  /// `asks_nccl`: the lowest rank of a host asks NCCL too what it knows (nccl_ras.h).
  HangReporter(std::filesystem::path folder, CollectiveRecord& record, Communicator& ranks,
               std::string device, bool asks_nccl);
  ~HangReporter();
  HangReporter(const HangReporter&) = delete;
  HangReporter& operator=(const HangReporter&) = delete;

 private:
  void watch();
  /// Makes or takes up the request, writes the report, and stays until somebody has said the
  /// sentence. What cannot be written is a warning.
  void report(const std::string& why);
  /// The text of the request that all ranks answer; "" where there is none.
  std::string standing_request() const;
  void make_request(const std::string& why) const;
  HangReport make_report(const std::string& why);
  bool has_run_out();
  /// Whether the loop of a wait turns.
  bool is_polling();
  void conclude();
  /// A rank's report, where it has answered the request.
  std::optional<HangReport> answer_of(int rank) const;
  /// By rank: all of them, or those that there are at the limit.
  std::vector<HangReport> wait_for_answers(std::chrono::steady_clock::time_point limit) const;
  void say_and_end(const std::vector<HangReport>& reports) const;
  /// Called by the rank's own thread, which must not go on to end the job before that is done.
  void wait_ran_out();

  std::filesystem::path folder_;
  CollectiveRecord& record_;
  int rank_;
  std::vector<std::string> hosts_;  // of all ranks
  std::string device_, session_;
  bool asks_nccl_;
  ThreadStacks stacks_;
  struct sigaction before_ {};  // of SIGQUIT

  // The watching thread's.
  std::string request_;  // the last one that it has answered
  std::chrono::steady_clock::time_point answered_{};

  std::mutex mutex_;
  std::condition_variable changed_;
  bool ran_out_ = false;  // a wait of this rank has,
  bool is_told_ = false;  // and that is reported
  std::atomic<bool> ends_ = false;
  std::thread thread_;
};

}  // namespace bovila
