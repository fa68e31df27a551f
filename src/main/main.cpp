// The table of contents of the program: command line, session, command, exit code.
#include <iostream>
#include <variant>

#include "bovila/core/build_info.h"
#include "bovila/core/log.h"
#include "bovila/dist/agreement.h"
#include "bovila/dist/versions.h"
#include "src/main/command_line.h"
#include "src/main/commands.h"

namespace bovila {
namespace {

/// --build-info: what is known without starting MPI.
ExitCode print_build() {
  std::cout << program_text() << "\n" << versions_table(versions());
  return std::cout.flush() ? ExitCode::kSuccess : ExitCode::kFailure;
}

/// bovila stop: one process that speaks to another through the file system.
ExitCode ask_to_stop(const CommandLine& line) {
  set_up_log(0);
  try {
    stop(line);
    return ExitCode::kSuccess;
  } catch (const std::exception& error) {
    log::error("{}", error.what());
    return dynamic_cast<const UserError*>(&error) != nullptr ? ExitCode::kUserError
                                                             : ExitCode::kFailure;
  }
}

/// Runs the program; errors that all ranks know are reported by rank 0, others end the whole job.
ExitCode guarded(const CommandLine& line, const MpiSession& session, Preemption& preemption) {
  try {
    if (line.self_check) {
      preemption.stand_down();
      check_machine(session);
    } else if (line.answer) {
      answer(line, session, preemption);
    } else {
      run(line, session, preemption);
    }
    if (!std::cout.flush()) throw ProgramError("standard output cannot be written to");
    return ExitCode::kSuccess;
  } catch (const AgreedError& error) {
    if (session.rank() != 0) return error.code;
    if (error.code == ExitCode::kPreempted) {
      log::warn("{}: exit code {}, run me again", error.what(), static_cast<int>(error.code));
    } else {
      log::error("{}", error.what());
    }
    return error.code;
  } catch (const std::exception& error) {
    const bool users = dynamic_cast<const UserError*>(&error) != nullptr;
    log::error("{}{}", session.size() > 1 ? fmt::format("rank {}: ", session.name()) : "",
               error.what());
    const auto code = users ? ExitCode::kUserError : ExitCode::kFailure;
    if (session.size() > 1) session.abort(static_cast<int>(code));
    return code;
  }
}

// Run by the loader before the constructors of LibTorch and MPI.
__attribute__((section(".preinit_array"),
               used)) void (*const catch_signals_first)() = catch_stop_signals_early;

}  // namespace
}  // namespace bovila

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): CLI11's, by a wrong option
  const auto typed = bovila::parse(argc, argv);
  if (const auto* code = std::get_if<bovila::ExitCode>(&typed)) return static_cast<int>(*code);
  const auto& line = std::get<bovila::CommandLine>(typed);
  if (line.build_info) return static_cast<int>(bovila::print_build());
  if (!line.stop.empty()) {
    bovila::Preemption().stand_down();
    return static_cast<int>(bovila::ask_to_stop(line));
  }
  // Never destroyed: a signal while the process ends must not take its exit code's place.
  static auto* const preemption = new bovila::Preemption();
  const bovila::MpiSession session(&argc, &argv);
  bovila::set_up_log(session.rank());
  return static_cast<int>(bovila::guarded(line, session, *preemption));
}
