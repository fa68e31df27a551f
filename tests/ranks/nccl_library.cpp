// The real NCCL, for tensors on a GPU.
#include "bovila/core/error.h"
#include "tests/ranks/nccl.h"

std::unique_ptr<bovila::NcclCommunicator> make_nccl(bovila::MpiCommunicator& host,
                                                    torch::Device device, int signal_at_start) {
  BOVILA_CHECK(signal_at_start == 0, "the real NCCL starts without signals");
  return device.is_cuda() ? std::make_unique<bovila::NcclCommunicator>(host, device) : nullptr;
}

void hang_in_nccl() {}
