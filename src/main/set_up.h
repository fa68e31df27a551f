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

/// Collective: model.precision = "auto" becomes what `device`, the same kind on all ranks, computes
/// in; on a CPU rank 0 measures (model/product_speed.h) and says so. Settled before the deck is
/// kept, so that a run that goes on elsewhere is told when it differs. A run that goes on has the
/// type of its `saved_deck`: a measurement may come out otherwise each time.
void settle_precision(Deck& deck, torch::Device device, Communicator& ranks,
                      const std::string& saved_deck = "");

/// Collective: has the collectives of this rank's communicators noted, for the report of a hang.
/// `nccl` may be null.
void note_collectives(CollectiveRecord& record, Communicator& ranks, Communicator& node,
                      NcclCommunicator* nccl);

/// Collective. Null on the CPU, where `host` does everything.
std::unique_ptr<NcclCommunicator> start_nccl(MpiCommunicator& host, torch::Device device);

}  // namespace bovila
