// How many threads a rank computes with, so that the ranks of a node do not fight for cores.
// Fed by dist/topology.h; feeds LibTorch's thread pool.
#pragma once

#include <string>
#include <vector>

#include "bovila/dist/communicator.h"

namespace bovila {

/// Cores that rank `mine` may use, divided by the number of ranks that may use exactly the same
/// ones; at least 1. `cores`: each rank's cores as ranges ("0-3,8"), one entry a rank of the node.
int share_of_cores(const std::vector<std::string>& cores, size_t mine);

/// Refuses so many threads on a node that little else could run on it: 16 a core, or 1024 where
/// that is more. Pure. @throws UserError.
void check_threads(int64_t threads_per_rank, int64_t node_ranks, int64_t cores);

/// Collective over the ranks of a node: share_of_cores of what the operating system allows each.
int choose_threads(Communicator& node);

}  // namespace bovila
