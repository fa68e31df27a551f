// Decisions that all ranks take together: an error on one rank becomes the same error on all.
// Fed by dist/communicator.h; used wherever ranks do work of their own that may fail (loading, a
// step).
#pragma once

#include <functional>
#include <stdexcept>
#include <string>

#include "bovila/core/error.h"
#include "bovila/dist/communicator.h"

namespace bovila {

/// Thrown by every rank after they agreed that one of them failed: each can end in order, none
/// waits for another. Everything else that climbs to main has to abort the whole job.
struct AgreedError : std::runtime_error {
  AgreedError(ExitCode exit_code, const std::string& message)
      : std::runtime_error(message), code(exit_code) {}
  ExitCode code;
};

/// Why a rank's own part of some work failed; kSuccess when it did not.
struct LocalError {
  ExitCode code = ExitCode::kSuccess;
  std::string message;
};

/// Runs `work`, which must not communicate with these ranks, and tells how it ended. What a smaller
/// group of ranks agreed on (AgreedError) keeps its code; StopRequested is kPreempted.
LocalError run_local(const std::function<void()>& work);

/// Collective: when any rank brings an error, every rank throws the first rank's as AgreedError.
/// When that is not rank 0 the message says which it is and how many failed. A request to stop
/// counts only when no rank failed.
/// @throws ProgramError, with this rank's own error, when the others do not come.
void agree(Communicator& ranks, const LocalError& mine);

/// Collective: run_local on every rank, then agree.
void run_together(Communicator& ranks, const std::function<void()>& work);

}  // namespace bovila
