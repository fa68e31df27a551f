// One read-only block of memory for all ranks of a node: the frozen weights stand there once.
// Fed by dist/mpi_session.h's node communicator; feeds weights/llama_weights.h.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "bovila/dist/communicator.h"

namespace bovila {

/// Collective over the ranks of one node. The first rank makes a block of `size` bytes and fills
/// it; the others map the same pages read-only. The block has no name anywhere: whenever and
/// however the ranks die, the kernel frees it with the last of them. Where a rank may not map the
/// first one's memory (process namespaces of their own), it fills a block of its own, and says in
/// the log what that costs.
/// @throws AgreedError on every rank when `fill` throws on one.
std::shared_ptr<std::byte> node_memory(Communicator& node, size_t size,
                                       const std::function<void(std::byte*)>& fill);

}  // namespace bovila
