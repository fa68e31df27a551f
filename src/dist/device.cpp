// Every rank gathers what all ranks see and comes to the same decision.
#include "bovila/dist/device.h"

#include <c10/cuda/CUDAFunctions.h>
#include <dlfcn.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include "bovila/core/counted.h"
#include "bovila/core/error.h"
#include "bovila/core/log.h"
#include "bovila/core/system.h"
#include "bovila/dist/agreement.h"
#include "bovila/dist/gpu_checks.h"

namespace bovila {
namespace {

using Views = std::vector<RankView>;

/// "node n1 has 2 CUDA devices for 4 ranks".
std::string count_both(const Views& ranks, const std::vector<size_t>& of_node) {
  std::set<std::string> devices;
  for (const size_t r : of_node) devices.insert(ranks[r].devices.begin(), ranks[r].devices.end());
  return fmt::format("node {} has {} for {}", ranks[of_node.front()].host,
                     counted(std::ssize(devices), "CUDA device"),
                     counted(std::ssize(of_node), "rank"));
}

std::vector<std::vector<size_t>> ranks_by_node(const std::vector<int>& nodes) {
  std::map<int, std::vector<size_t>> by_node;
  for (size_t r = 0; r < nodes.size(); ++r) by_node[nodes[r]].push_back(r);
  std::vector<std::vector<size_t>> out;
  out.reserve(by_node.size());
  for (const auto& [node, of_node] : by_node) out.push_back(of_node);
  return out;
}

/// One clause a node; the same for a hundred nodes is said for the first ones.
std::string count_nodes(const Views& ranks, const std::vector<std::vector<size_t>>& by_node) {
  constexpr size_t kMaxNamed = 8;
  std::vector<std::string> clauses;
  for (const auto& of_node : by_node) {
    if (clauses.size() < kMaxNamed) clauses.push_back(count_both(ranks, of_node));
  }
  if (by_node.size() > kMaxNamed) {
    clauses.push_back("and " + counted(std::ssize(by_node) - std::ssize(clauses), "more node"));
  }
  return fmt::format("{}", fmt::join(clauses, ", "));
}

/// @throws UserError unless every rank sees a device.
void require_devices(const Views& ranks, const std::vector<std::vector<size_t>>& by_node,
                     bool any) {
  if (!any) {
    throw UserError(
        "run.device = \"cuda\", but no rank sees a CUDA device ({}): {}. Start on nodes with GPUs "
        "(Slurm: --gpus-per-node), or set run.device = \"cpu\"",
        ranks.front().why_none, count_nodes(ranks, by_node));
  }
  for (size_t r = 0; r < ranks.size(); ++r) {
    if (!ranks[r].devices.empty()) continue;
    throw UserError(
        "rank {} on node {} sees no CUDA device ({}), others do: {}. Start one rank a device on "
        "every node, or set run.device = \"cpu\"",
        r, ranks[r].host, ranks[r].why_none, count_nodes(ranks, by_node));
  }
}

/// Devices of one node's ranks. @throws UserError when there are not enough.
void assign_on_node(const Views& ranks, const std::vector<size_t>& of_node,
                    std::vector<int>& assigned) {
  std::map<std::vector<std::string>, size_t> taken;  // by what the ranks see
  std::set<std::string> distinct;
  for (const size_t r : of_node) {
    const auto& seen = ranks[r].devices;
    distinct.insert(seen.begin(), seen.end());
    assigned[r] = static_cast<int>(taken[seen]++);
  }
  if (distinct.size() < of_node.size()) {
    throw UserError(
        "{}: start one rank a device (Slurm: --ntasks-per-node={}, mpirun: --map-by ppr:{}:node)",
        count_both(ranks, of_node), distinct.size(), distinct.size());
  }
}

/// @throws UserError when a rank has no device left among those that it sees, or one that another
/// rank has: the launcher has bound them badly.
void require_distinct(const Views& ranks, const std::vector<int>& nodes,
                      const std::vector<std::vector<size_t>>& by_node,
                      const std::vector<int>& assigned) {
  std::map<std::string, size_t> owners;
  for (size_t r = 0; r < ranks.size(); ++r) {
    const auto& seen = ranks[r].devices;
    const auto& device = seen[static_cast<size_t>(assigned[r]) % seen.size()];
    const auto [owner, is_new] = owners.emplace(device, r);
    if (is_new) continue;
    std::string counts = count_both(ranks, by_node.front());
    for (const auto& of_node : by_node) {
      if (nodes[of_node.front()] == nodes[r]) counts = count_both(ranks, of_node);
    }
    throw UserError(
        "{}, but ranks {} and {} are bound to the same one, {}: let every rank see all devices of "
        "its node, or one of its own (Slurm: --gpus-per-task=1)",
        counts, owner->second, r, device);
  }
}

/// A view as lines of text: host, reason, then one device a line.
std::string to_text(const RankView& view) {
  std::string text = view.host + "\n" + view.why_none + "\n";
  for (const std::string& device : view.devices) text += device + "\n";
  return text;
}

RankView to_view(const std::string& text) {
  std::istringstream lines(text);
  RankView view;
  std::getline(lines, view.host);
  std::getline(lines, view.why_none);
  for (std::string device; std::getline(lines, device);) view.devices.push_back(device);
  return view;
}

}  // namespace

std::vector<int> assign_devices(DeviceRequest request, const Views& ranks,
                                const std::vector<int>& nodes) {
  std::vector<int> assigned(ranks.size(), kNoDevice);
  if (request == DeviceRequest::kCpu) return assigned;
  const auto by_node = ranks_by_node(nodes);
  const bool any =
      std::ranges::any_of(ranks, [](const RankView& view) { return !view.devices.empty(); });
  if (!any && request == DeviceRequest::kAuto) return assigned;
  require_devices(ranks, by_node, any);
  for (const auto& of_node : by_node) assign_on_node(ranks, of_node, assigned);
  require_distinct(ranks, nodes, by_node, assigned);
  return assigned;
}

RankView view_devices(const std::string& host) {
  RankView view;
  view.host = host;
  int number = 0;
  const cudaError_t status = cudaGetDeviceCount(&number);
  if (status != cudaSuccess) {
    cudaGetLastError();  // it is told here, LibTorch need not find it again
    // Without any driver CUDA says that the driver is too old.
    const bool has_driver = std::filesystem::exists("/proc/driver/nvidia/version");
    view.why_none = has_driver ? cudaGetErrorString(status) : "this machine has no NVIDIA driver";
    return view;
  }
  for (int index = 0; index < number; ++index) {
    cudaDeviceProp properties;
    CUDA_CHECK(cudaGetDeviceProperties(&properties, index));
    std::string identity = "GPU-";
    for (const char byte : properties.uuid.bytes) {
      identity += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    }
    view.devices.push_back(identity);
  }
  return view;
}

void load_cuda(const char* library) {
  if (dlopen(library, RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    const char* why = dlerror();  // NOLINT(concurrency-mt-unsafe): glibc has one a thread
    throw UserError(
        "cannot load LibTorch's kernels for GPUs: {}. Build with a LibTorch for CUDA (make help: "
        "LIBTORCH), or set run.device = \"cpu\"",
        why);
  }
  BOVILA_CHECK(torch::globalContext().hasCUDART(),
               "LibTorch was asked about CUDA before its kernels were loaded");
}

torch::Device choose_device(DeviceRequest request, Communicator& ranks, Communicator& node) {
  if (request == DeviceRequest::kCpu) return torch::kCPU;
  RankView mine;
  run_together(ranks, [&] { mine = view_devices(host_name()); });
  const std::string node_number = node.broadcast(std::to_string(ranks.rank()), 0);
  std::vector<int> nodes;
  for (const std::string& text : ranks.all_gather(node_number)) nodes.push_back(std::stoi(text));
  Views views;
  for (const std::string& text : ranks.all_gather(to_text(mine))) views.push_back(to_view(text));

  int index = kNoDevice;
  run_together(ranks, [&] {
    index = assign_devices(request, views, nodes)[static_cast<size_t>(ranks.rank())];
    if (index == kNoDevice) return;
    load_cuda();
    c10::cuda::set_device(static_cast<c10::DeviceIndex>(index));
  });
  if (index != kNoDevice) return {torch::kCUDA, static_cast<c10::DeviceIndex>(index)};
  if (ranks.rank() == 0) log::info("no CUDA device ({}): computing on the CPU", mine.why_none);
  return torch::kCPU;
}

}  // namespace bovila
