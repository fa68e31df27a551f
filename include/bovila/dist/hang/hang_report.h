// What a rank leaves when ranks wait in vain, and what all their reports say together.
// Fed by dist/hang/hang_reporter.h and, afterwards, by tools/hang; read by people. Without MPI.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "bovila/dist/hang/collective_record.h"
#include "bovila/dist/hang/thread_stacks.h"

namespace bovila {

struct HangReport {
  std::string request;  ///< all ranks' answers to the same request, of one start, have the same
  std::string why;      ///< "waited in vain", "SIGQUIT", "asked by another rank"
  int rank = 0;
  std::vector<std::string> hosts;  ///< of all ranks
  int pid = 0;
  std::string device;
  std::string nccl_status;  ///< of all ranks by NCCL itself (nccl_ras.h), for a host's lowest rank
  double time = 0;          ///< seconds since 1970
  /// Whether the loop of a wait turned while this was written; it does not within a library's call.
  bool is_polling = false;
  CollectiveRecord::Snapshot record;
  std::vector<ThreadStack> threads;

  /// What it waits in, the oldest; null where it waits for nobody.
  const CollectiveNote* waits_in() const;
};

/// "hang-rank3.json"
std::string hang_file_name(int rank);
std::string to_json(const HangReport& report);
/// @throws UserError naming `source`.
HangReport hang_report_of(const std::string& json, const std::string& source);
/// The reports in a run's folder that answer the same request as the newest one, by rank: a rank
/// that did not is dead or stopped, whatever it left before. What cannot be read is passed over.
/// @throws UserError when there is none.
std::vector<HangReport> read_hang_reports(const std::filesystem::path& folder);

/// One sentence: who never came to which collective of which step, and who waited for it; a rank
/// without a report is dead or stopped. Pure. `reports` is not empty; all answer one request.
std::string explain_hang(const std::vector<HangReport>& reports);

}  // namespace bovila
