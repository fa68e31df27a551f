// A stream beside the computing one, and an event between them for each copy.
#include "bovila/model/device_copy.h"

#include <c10/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

namespace bovila {

torch::Tensor copy_to(const torch::Tensor& host, torch::Device device) {
  if (device.is_cpu()) return host;
  const auto compute = c10::cuda::getCurrentCUDAStream(device.index());
  // One for the process: copies are few, small and in order.
  static const auto side = c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index());
  torch::Tensor copy;
  {
    const c10::cuda::CUDAStreamGuard guard(side);
    copy = host.pin_memory().to(device, /*non_blocking=*/true);
  }
  c10::cuda::CUDAEvent copied;
  copied.record(side);
  copied.block(compute);
  copy.record_stream(compute);  // its memory belongs to the side stream until computing is done
  return copy;
}

}  // namespace bovila
