// tools/hang RUN: which rank a run that hung waited for, from the reports that its ranks left.
// Fed by hang-rankN.json (dist/hang/hang_report.h); read by people.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <string>

#include "bovila/core/build_info.h"
#include "bovila/core/error.h"
#include "bovila/core/log.h"
#include "bovila/dist/hang/hang_report.h"
#include "src/main/values.h"

namespace bovila {
namespace {

std::string wait_text(const HangReport& report) {
  const CollectiveNote* note = report.waits_in();
  if (note == nullptr) return "waits for nobody";
  return fmt::format("waits for {:.1f} s in {}, number {} of {}", report.time - note->begun,
                     note->what, note->number, report.record.groups[note->group].name);
}

void print_rank(const HangReport& report) {
  const auto& record = report.record;
  const auto stage = record.stage.empty() ? "at its start" : "in " + record.stage;
  std::cout << fmt::format("rank {} on {}, process {}, {}: {}, {}\n", report.rank,
                           report.hosts[static_cast<size_t>(report.rank)], report.pid,
                           report.device, stage, wait_text(report));
}

void print_stacks(const HangReport& report) {
  for (const ThreadStack& thread : report.threads) {
    std::cout << fmt::format("\nrank {}, thread {} {} ({})\n", report.rank, thread.id, thread.name,
                             thread.state);
    for (const std::string& frame : thread.frames) std::cout << "  " << frame << "\n";
  }
}

void print_nccl_status(const std::vector<HangReport>& reports) {
  bool is_any = false;
  for (const HangReport& report : reports) {
    if (report.nccl_status.empty()) continue;
    is_any = true;
    std::cout << fmt::format("\nNCCL on {}:\n{}", report.hosts[static_cast<size_t>(report.rank)],
                             report.nccl_status);
  }
  if (!is_any) {
    std::cout << "\nNCCL: no answer (CPU runs do not ask it; its RAS service is of NCCL 2.24 and "
                 "later, at NCCL_RAS_ADDR, and NCCL_RAS_ENABLE=0 turns it off)\n";
  }
}

void explain(const std::string& folder, int stacks_of, bool with_nccl) {
  const auto reports = read_hang_reports(folder);
  std::cout << explain_hang(reports) << "\n";
  for (const HangReport& report : reports) print_rank(report);
  if (with_nccl) print_nccl_status(reports);
  if (stacks_of < 0) return;
  const auto wanted = std::ranges::find(reports, stacks_of, &HangReport::rank);
  if (wanted == reports.end()) {
    throw UserError("{} has no report of rank {}: expected {}", folder, stacks_of,
                    hang_file_name(stacks_of));
  }
  print_stacks(*wanted);
}

}  // namespace
}  // namespace bovila

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): CLI11's, by a wrong option
  using namespace bovila;
  set_up_log(0);
  CLI::App app("Says which rank a run that hung waited for");
  app.set_version_flag("--version", program_text());
  std::string folder;
  int stacks_of = -1;
  bool with_nccl = false;
  app.add_option("RUN", folder, "the run's output folder")->required();
  app.add_option("--stacks", stacks_of, "show the stacks of this rank's threads too");
  app.add_flag("--nccl", with_nccl, "show what NCCL said of its ranks too");
  try {
    parse_values(app, argc, argv);
  } catch (const CLI::ParseError& error) {
    return static_cast<int>(app.exit(error) == 0 ? ExitCode::kSuccess : ExitCode::kUserError);
  }
  try {
    explain(folder, stacks_of, with_nccl);
    return static_cast<int>(ExitCode::kSuccess);
  } catch (const UserError& error) {
    std::cerr << "hang: " << error.what() << "\n";
    return static_cast<int>(ExitCode::kUserError);
  }
}
