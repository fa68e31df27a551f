// What commands begin with: the deck on all ranks, threads, the device, communication.
// Fed by main/command_line.h; feeds the commands.
#pragma once

#include <memory>

#include "bovila/config/deck.h"
#include "bovila/dist/communicator.h"
#include "bovila/dist/nccl_communicator.h"
#include "src/main/command_line.h"

namespace bovila {

/// Collective: rank 0 reads the deck, the others get its resolved text.
Deck share_deck(const CommandLine& line, Communicator& ranks);

/// Collective over the ranks of a node: has LibTorch compute with as many threads as the deck says,
/// or with this rank's share of the cores. @return their number.
int set_up_threads(const RunConfig& config, Communicator& node);

/// Collective: the device of this rank, with what the deck says about its numbers in force.
torch::Device set_up_device(const RunConfig& config, Communicator& ranks, Communicator& node);

/// model.precision = "auto" becomes what `device`, the same kind on all ranks, computes in: settled
/// before the deck is kept, so that a run that goes on elsewhere is told when it
/// differs.
void settle_precision(Deck& deck, torch::Device device);

/// Collective. Null on the CPU, where `host` does everything.
std::unique_ptr<NcclCommunicator> start_nccl(MpiCommunicator& host, torch::Device device);

}  // namespace bovila
