// --check.
// Fed by the deck; called by the command that runs it.
#pragma once

#include "bovila/config/config.h"
#include "bovila/dist/communicator.h"
#include "bovila/dist/preemption.h"

namespace bovila {

/// Collective: everything that can be known before training, as a report on standard output.
/// @throws AgreedError.
/// `node`: the ranks of this machine.
void check(const Config& config, Communicator& ranks, const Communicator& node, int num_threads,
           const Preemption& preemption);

}  // namespace bovila
