// The commands of the program, each a flow through its stages.
// Fed by main/command_line.h; chosen by main.cpp.
#pragma once

#include "bovila/dist/mpi_session.h"
#include "bovila/dist/preemption.h"
#include "src/main/command_line.h"

namespace bovila {

/// Collective: `bovila DECK`, which trains, and with --eval scores, or with --check reports.
/// @throws AgreedError on all ranks, or another exception on some.
void run(const CommandLine& line, const MpiSession& session, Preemption& preemption);

/// `bovila answer DECK`: one process, no collective work. @throws AgreedError, UserError.
void answer(const CommandLine& line, const MpiSession& session, Preemption& preemption);

/// `bovila stop FOLDER`, without MPI. @throws UserError, ProgramError.
void stop(const CommandLine& line);

/// Collective: `bovila --self-check`.
void check_machine(const MpiSession& session);

}  // namespace bovila
