// The report from top to bottom: versions, ranks, then the checks of dist/ and train/.
#include "bovila/train/self_check.h"

#include <ATen/Version.h>
#include <cuda_runtime_api.h>
#include <unistd.h>

#include "bovila/core/build_info.h"
#include "bovila/core/error.h"
#include "bovila/core/text_table.h"
#include "bovila/dist/agreement.h"
#include "bovila/dist/collective_check.h"
#include "bovila/dist/gpu_checks.h"
#include "bovila/dist/placement.h"
#include "bovila/dist/topology.h"
#include "bovila/dist/versions.h"
#include "bovila/model/frozen_linear.h"
#include "bovila/train/step_check.h"

namespace bovila {
namespace {

const char* fp32_library() {
  if (uses_onednn()) return "oneDNN";
  return at::hasMKL() ? "MKL" : "LibTorch's BLAS";
}

std::string versions_text() {
  Versions all = versions();
  all.emplace_back(
      "CPU", fmt::format("{}, fp32 products by {}", at::get_cpu_capability(), fp32_library()));
  return "versions of rank 0\n" + versions_table(all);
}

/// "NVIDIA H100, 79.2 GiB" or "CPU".
std::string device_text(torch::Device device) {
  if (!device.is_cuda()) return "CPU";
  cudaDeviceProp properties;
  CUDA_CHECK(cudaGetDeviceProperties(&properties, device.index()));
  constexpr double kGiB = 1 << 30;
  return fmt::format("{}: {}, {:.1f} GiB", device.str(), properties.name,
                     static_cast<double>(properties.totalGlobalMem) / kGiB);
}

/// " at 0000:1B:00.0, NUMA node 0" behind a GPU's text.
std::string bus_text(const Place& place) {
  if (place.gpu.empty()) return "";
  return fmt::format(" at {}, NUMA node {}", place.gpu_bus,
                     place.gpu_numa_node ? std::to_string(*place.gpu_numa_node) : "unknown");
}

/// "-" where a value is not known.
std::string cell(const std::string& text) {
  return text.empty() ? "-" : text;
}

/// Collective: one row a rank, and what is wrong with their places.
std::string rank_table(Communicator& ranks, torch::Device device) {
  std::string device_name;
  run_together(ranks, [&] { device_name = device_text(device); });
  const auto pids = ranks.all_gather(std::to_string(getpid()));
  const auto devices = ranks.all_gather(device_name);
  const auto places = gather_places(ranks, device);
  std::vector<std::vector<std::string>> rows = {
      {"rank", "host", "pid", "threads", "cores", "NUMA", "device"}};
  for (size_t r = 0; r < places.size(); ++r) {
    const Place& place = places[r];
    rows.push_back({std::to_string(r), place.host, pids[r], std::to_string(place.threads),
                    cell(to_ranges(place.cores)), cell(to_ranges(place.numa_nodes)),
                    devices[r] + bus_text(place)});
  }
  std::string text = "ranks\n" + text_table(rows);
  for (const std::string& concern : placement_concerns(places))
    text += "warning: " + concern + "\n";
  return text;
}

}  // namespace

void self_check(Communicator& ranks, torch::Device device, std::ostream& out) {
  run_together(ranks, [&] {
    if (ranks.rank() == 0) out << program_text() << "\n" << versions_text();
  });
  const std::string table = rank_table(ranks, device);
  if (ranks.rank() == 0) out << table << std::flush;
  check_collectives(ranks, device, out);
  check_step(ranks, device, out);
  if (ranks.rank() == 0) out << "self-check passed\n" << std::flush;
}

}  // namespace bovila
