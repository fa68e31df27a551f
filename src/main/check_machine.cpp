// --self-check, on whatever the machine has.
#include <iostream>

#include "bovila/dist/device.h"
#include "bovila/train/self_check.h"
#include "src/main/commands.h"
#include "src/main/run_ranks.h"
#include "src/main/set_up.h"

namespace bovila {

void check_machine(const MpiSession& session) {
  constexpr double kTimeout_s = 60;
  MpiCommunicator host(MPI_COMM_WORLD, kTimeout_s);
  const MpiComm node_ranks = session.node();
  MpiCommunicator node(node_ranks.get(), kTimeout_s);
  set_up_threads({}, node);
  const torch::Device device = choose_device(DeviceRequest::kAuto, host, node);
  RunRanks ranks(host, node, /*tensor_parallel=*/1);
  ranks.start_nccl(device);
  self_check(ranks.grid().all(), device, std::cout);
}

}  // namespace bovila
