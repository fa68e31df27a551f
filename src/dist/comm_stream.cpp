// One CUDA stream and an event in each direction.
#include "bovila/dist/comm_stream.h"

#include <c10/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAStream.h>

#include "bovila/core/error.h"

namespace bovila {
namespace {

class CudaStream final : public CommStream {
 public:
  explicit CudaStream(c10::DeviceIndex device)
      : device_(device), stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/true, device)) {}

  cudaStream_t get() const override { return stream_.stream(); }

  void follow_compute() override {
    computed_.record(c10::cuda::getCurrentCUDAStream(device_));
    computed_.block(stream_);
  }

  void lead_compute() override {
    communicated_.record(stream_);
    communicated_.block(c10::cuda::getCurrentCUDAStream(device_));
  }

  bool is_done() override { return communicated_.query(); }

 private:
  c10::DeviceIndex device_;
  c10::cuda::CUDAStream stream_;
  c10::cuda::CUDAEvent computed_;
  c10::cuda::CUDAEvent communicated_;
};

}  // namespace

std::unique_ptr<CommStream> make_cuda_stream(torch::Device device) {
  BOVILA_CHECK(device.is_cuda() && device.has_index(), "expected a CUDA device's index, got {}",
               device.str());
  torch::globalContext().lazyInitDevice(torch::kCUDA);
  return std::make_unique<CudaStream>(device.index());
}

}  // namespace bovila
