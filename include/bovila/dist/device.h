// Which device each rank computes on: one rank a GPU, or all on the CPU.
// Fed by run.device and by what CUDA shows to each rank; feeds model/, train/ and
// dist/nccl_communicator.h.
#pragma once

#include <string>
#include <vector>

#include "bovila/config/config.h"
#include "bovila/dist/communicator.h"
#include "bovila/dist/libtorch.h"

namespace bovila {

/// What one rank sees of its node.
struct RankView {
  std::string host;                  ///< for messages
  std::string why_none;              ///< CUDA's reason when there is no device
  std::vector<std::string> devices;  ///< identities (UUIDs), by this rank's CUDA index
};

constexpr int kNoDevice = -1;

/// Index of every rank's CUDA device among those that it sees; kNoDevice for all when they compute
/// on the CPU. Ranks that see the same devices take them in turn, so on a node where all ranks see
/// all devices a rank's device is its local rank, and where a launcher shows each rank one device
/// of its own it is 0. `nodes`: the number of each rank's node, in the order of the ranks.
/// @throws UserError, the same on all ranks: more ranks than devices, two ranks on one device,
/// devices on some ranks only, or none where kCuda asks for them. The message counts both.
std::vector<int> assign_devices(DeviceRequest request, const std::vector<RankView>& ranks,
                                const std::vector<int>& nodes);

/// What this process sees. `host` is copied into it.
RankView view_devices(const std::string& host);

/// Loads LibTorch's CUDA kernels, which a run on the CPU does without. LibTorch takes them up if it
/// was not asked about CUDA before. @throws UserError when the library cannot be loaded.
void load_cuda(const char* library = "libtorch_cuda.so");

/// Collective over `ranks`; `node` holds those that share this rank's memory (MpiSession::node).
/// assign_devices of what all ranks see; makes this rank's device CUDA's current one.
/// @throws AgreedError on every rank for what assign_devices throws.
torch::Device choose_device(DeviceRequest request, Communicator& ranks, Communicator& node);

}  // namespace bovila
