// How much memory this process uses, in words.
// Fed by the kernel and LibTorch's GPU allocator; feeds train/trainer.h's log.
#pragma once

#include <string>

#include "bovila/dist/libtorch.h"

namespace bovila {

/// "host 0.48 GB peak", and before it for a GPU "cuda:1 0.31 GB allocated (peak 2.40), 2.60 GB
/// reserved". GB are 10^9 bytes.
std::string memory_text(torch::Device device);

}  // namespace bovila
