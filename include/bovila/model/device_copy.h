// Small host tensors to where the model computes, without waiting for the device.
// Fed by model/sequences.h and train/ with indices, frames and noise of a micro-batch.
#pragma once

#include "bovila/dist/libtorch.h"

namespace bovila {

/// The tensor itself on the CPU. For a GPU a copy that is enqueued on LibTorch's current stream,
/// from pinned memory: from pageable memory the host would have to wait for it.
inline torch::Tensor copy_to(const torch::Tensor& host, torch::Device device) {
  if (device.is_cpu()) return host;
  return host.pin_memory().to(device, /*non_blocking=*/true);
}

}  // namespace bovila
