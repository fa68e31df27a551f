// The double of NCCL, for tensors in host memory.
#include "tests/nccl/double.h"
#include "tests/ranks/nccl.h"

std::unique_ptr<bovila::NcclCommunicator> make_nccl(bovila::MpiCommunicator& host,
                                                    torch::Device device, int signal_at_start) {
  reset_nccl_double();
  nccl_double().patience_s = 0.1;
  if (host.rank() == host.size() - 1) nccl_double().signal_at_start = signal_at_start;
  return std::make_unique<bovila::NcclCommunicator>(host, device, make_host_stream());
}

void hang_in_nccl() {
  nccl_double().hangs_in_poll = true;
}
