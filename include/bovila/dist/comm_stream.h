// The queue on which a GPU runs collectives beside the one on which it computes.
// Used by dist/nccl_communicator.h.
#pragma once

#include <cuda_runtime_api.h>

#include <memory>

#include "bovila/dist/libtorch.h"

namespace bovila {

/// An interface, since a machine without a GPU has neither queue: tests order host memory by it.
class CommStream {
 public:
  virtual ~CommStream() = default;
  /// The CUDA stream to enqueue on.
  virtual cudaStream_t get() const = 0;
  /// What is enqueued here from now on waits for what LibTorch's current stream has so far.
  virtual void follow_compute() = 0;
  /// What LibTorch's current stream gets from now on waits for what is enqueued here so far.
  virtual void lead_compute() = 0;
  /// Whether everything before the last lead_compute() has ended. Does not wait.
  virtual bool is_done() = 0;
};

/// A stream of high priority on `device`, which has an index.
std::unique_ptr<CommStream> make_cuda_stream(torch::Device device);

}  // namespace bovila
