// Small host tensors to where the model computes, without waiting for the device.
// Fed by model/sequences.h, objective/ and evaluation/ with indices, frames and noise of a batch.
#pragma once

#include "bovila/dist/libtorch.h"

namespace bovila {

/// The tensor itself on the CPU. For a GPU a copy from pinned memory (from pageable memory the host
/// would have to wait for it) on a stream of its own: it runs beside what the GPU still computes,
/// and what LibTorch's current stream gets from now on waits for it. From one thread.
torch::Tensor copy_to(const torch::Tensor& host, torch::Device device);

}  // namespace bovila
