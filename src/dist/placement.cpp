// What one rank finds out about itself, and what all of it together means.
#include "bovila/dist/placement.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <span>
#include <sstream>

#include "bovila/core/counted.h"
#include "bovila/core/error.h"
#include "bovila/core/system.h"
#include "bovila/dist/agreement.h"
#include "bovila/dist/gpu_checks.h"
#include "bovila/dist/topology.h"

namespace bovila {
namespace {

using Places = std::vector<Place>;
using RankNumbers = std::vector<int>;

/// "rank 3", "ranks 0-3,8".
std::string named(const RankNumbers& ranks) {
  return (ranks.size() == 1 ? "rank " : "ranks ") + to_ranges(ranks);
}

std::string numa_text(const std::vector<int>& nodes) {
  if (nodes.empty()) return "";
  return fmt::format(" (NUMA node{} {})", nodes.size() == 1 ? "" : "s", to_ranges(nodes));
}

/// "n1, cores 0-3 (NUMA node 0), NVIDIA H100 at 0000:1b:00.0 (NUMA node 0)".
std::string place_text(const Place& place) {
  std::string text = place.host;
  if (!place.cores.empty()) {
    text += fmt::format(", core{} {}{}", place.cores.size() == 1 ? "" : "s", to_ranges(place.cores),
                        numa_text(place.numa_nodes));
  }
  if (!place.gpu.empty()) {
    std::vector<int> node;
    if (place.gpu_numa_node) node.push_back(*place.gpu_numa_node);
    text += fmt::format(", {} at {}{}", place.gpu, place.gpu_bus, numa_text(node));
  }
  return text;
}

/// "host n1", "3 hosts (n1, n2, n3)".
std::string hosts_text(const Places& places) {
  constexpr size_t kMaxNamed = 8;
  std::vector<std::string> hosts;
  for (const Place& place : places) {
    if (std::ranges::count(hosts, place.host) == 0) hosts.push_back(place.host);
  }
  if (hosts.size() == 1) return "host " + hosts.front();
  const auto first = std::span(hosts).first(std::min(hosts.size(), kMaxNamed));
  return fmt::format("{} hosts ({}{})", hosts.size(), fmt::join(first, ", "),
                     hosts.size() > kMaxNamed ? ", ..." : "");
}

/// "1 thread", "1 to 4 threads".
std::string threads_text(const Places& places) {
  const auto [least, most] =
      std::ranges::minmax(places, {}, [](const Place& place) { return place.threads; });
  const std::string text = counted(most.threads, "thread");
  return least.threads == most.threads ? text : fmt::format("{} to {}", least.threads, text);
}

bool overlap(const std::vector<int>& a, const std::vector<int>& b) {
  return std::ranges::find_first_of(a, b) != a.end();
}

/// Ranks of one host whose cores are the same list, and those that are tied together by cores that
/// they have in common, each with the cores of all of them. Every one has to be large enough.
std::vector<std::pair<RankNumbers, std::set<int>>> sharers_of_cores(const Places& places,
                                                                    const RankNumbers& of_host) {
  std::map<std::vector<int>, RankNumbers> equal;
  for (const int r : of_host) equal[places[static_cast<size_t>(r)].cores].push_back(r);
  std::vector<std::pair<RankNumbers, std::set<int>>> groups, tied;
  for (const auto& [cores, ranks] : equal) {
    groups.emplace_back(ranks, std::set<int>(cores.begin(), cores.end()));
    auto joined = groups.back();
    const auto meets = [&](const auto& other) {
      return overlap({joined.second.begin(), joined.second.end()},
                     {other.second.begin(), other.second.end()});
    };
    for (const auto& other : tied) {
      if (!meets(other)) continue;
      joined.first.insert(joined.first.end(), other.first.begin(), other.first.end());
      joined.second.insert(other.second.begin(), other.second.end());
    }
    std::erase_if(tied, meets);
    tied.push_back(std::move(joined));
  }
  groups.insert(groups.end(), tied.begin(), tied.end());
  return groups;
}

/// The first group of a host that computes with more threads than it has cores, or "".
std::string core_concern(const Places& places, const RankNumbers& of_host) {
  for (auto& [ranks, cores] : sharers_of_cores(places, of_host)) {
    int64_t threads = 0;
    for (const int r : ranks) threads += places[static_cast<size_t>(r)].threads;
    if (threads <= std::ssize(cores)) continue;
    RankNumbers sorted = ranks;
    std::ranges::sort(sorted);
    return fmt::format(
        "host {}: {} compute{} with {} on {} ({}), so that threads wait for each other: give each "
        "rank cores of its own (Slurm: --cpus-per-task, mpirun: --map-by slot:PE=N), start fewer "
        "ranks, or lower run.threads_per_rank",
        places[static_cast<size_t>(ranks.front())].host, named(sorted),
        ranks.size() == 1 ? "s" : "", counted(threads, "thread"),
        counted(std::ssize(cores), "core"), to_ranges({cores.begin(), cores.end()}));
  }
  return "";
}

bool is_far(const Place& place) {
  return place.gpu_numa_node && !place.numa_nodes.empty() &&
         std::ranges::count(place.numa_nodes, *place.gpu_numa_node) == 0;
}

/// Of all ranks whose GPU is far from their cores, or "".
std::string gpu_concern(const Places& places) {
  RankNumbers far;
  for (size_t r = 0; r < places.size(); ++r) {
    if (is_far(places[r])) far.push_back(static_cast<int>(r));
  }
  if (far.empty()) return "";
  const Place& first = places[static_cast<size_t>(far.front())];
  return fmt::format(
      "{}: the GPU is on another NUMA node than the cores (rank {} on {}: {} on node {}, cores {} "
      "on "
      "{}), so that all that they exchange goes from socket to socket: bind ranks to the cores "
      "beside their GPUs (Slurm: SRUN_ARGS=--cpu-bind=map_ldom:..., mpirun: --map-by numa)",
      named(far), far.front(), first.host, first.gpu_bus, *first.gpu_numa_node,
      to_ranges(first.cores), to_ranges(first.numa_nodes));
}

}  // namespace

Place find_place(torch::Device device) {
  Place place;
  place.host = host_name();
  place.cores = allowed_cores();
  place.numa_nodes = numa_nodes_of(place.cores);
  place.threads = torch::get_num_threads();
  if (!device.is_cuda()) return place;
  cudaDeviceProp properties;
  CUDA_CHECK(cudaGetDeviceProperties(&properties, device.index()));
  char bus[32] = {};
  CUDA_CHECK(cudaDeviceGetPCIBusId(bus, sizeof(bus), device.index()));
  place.gpu = properties.name;
  place.gpu_bus = bus;
  place.gpu_numa_node = numa_node_of_device(place.gpu_bus);
  return place;
}

std::string to_text(const Place& place) {
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n", place.host, to_ranges(place.cores),
                     to_ranges(place.numa_nodes), place.threads, place.gpu, place.gpu_bus,
                     place.gpu_numa_node.value_or(-1));
}

Place to_place(const std::string& text) {
  std::istringstream lines(text);
  std::string cores, nodes, threads, gpu_node;
  Place place;
  for (std::string* line :
       {&place.host, &cores, &nodes, &threads, &place.gpu, &place.gpu_bus, &gpu_node}) {
    BOVILA_CHECK(std::getline(lines, *line), "a rank's place has too few lines: {}", text);
  }
  place.cores = parse_ranges(cores);
  place.numa_nodes = parse_ranges(nodes);
  place.threads = std::stoi(threads);
  if (std::stoi(gpu_node) >= 0) place.gpu_numa_node = std::stoi(gpu_node);
  return place;
}

Places gather_places(Communicator& ranks, torch::Device device) {
  Place mine;
  run_together(ranks, [&] { mine = find_place(device); });
  Places places;
  for (const std::string& text : ranks.all_gather(to_text(mine))) places.push_back(to_place(text));
  return places;
}

std::vector<std::string> start_up_lines(const std::string& program, const Places& places,
                                        size_t max_lines) {
  std::vector<std::string> lines = {
      fmt::format("{}: {} rank{} of {} on {}, {}", program, places.size(),
                  places.size() == 1 ? "" : "s", threads_text(places),
                  places.front().gpu.empty() ? "the CPU" : "a GPU each", hosts_text(places))};
  for (size_t first = 0, last = 0; first < places.size(); first = last + 1) {
    last = first;
    const std::string text = place_text(places[first]);
    while (last + 1 < places.size() && place_text(places[last + 1]) == text) ++last;
    if (lines.size() > max_lines) {
      lines.push_back(
          fmt::format("and {} more: bovila --self-check lists them all",
                      counted(std::ssize(places) - static_cast<int64_t>(first), "rank")));
      break;
    }
    RankNumbers ranks(last + 1 - first);
    std::iota(ranks.begin(), ranks.end(), static_cast<int>(first));
    lines.push_back(fmt::format("{}: {}", named(ranks), text));
  }
  return lines;
}

std::vector<std::string> placement_concerns(const Places& places) {
  std::map<std::string, RankNumbers> hosts;
  for (size_t r = 0; r < places.size(); ++r) {
    if (!places[r].cores.empty()) hosts[places[r].host].push_back(static_cast<int>(r));
  }
  std::vector<std::string> concerns;
  for (const auto& [host, of_host] : hosts) concerns.push_back(core_concern(places, of_host));
  concerns.push_back(gpu_concern(places));
  std::erase(concerns, "");
  return concerns;
}

}  // namespace bovila
