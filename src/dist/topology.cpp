// Small files of /sys, none of which has to be there: a container may hide them all.
#include "bovila/dist/topology.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>

namespace bovila {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxCores = 1 << 16;  // more than Linux can be built for

std::optional<int> to_number(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// The first line of a file; "" where it cannot be read.
std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// 3 of ".../node3".
std::optional<int> node_number(const fs::path& folder) {
  constexpr std::string_view kPrefix = "node";
  const std::string name = folder.filename().string();
  if (!name.starts_with(kPrefix)) return std::nullopt;
  return to_number(std::string_view(name).substr(kPrefix.size()));
}

}  // namespace

std::string to_ranges(const std::vector<int>& numbers) {
  std::string text;
  for (size_t first = 0, last = 0; first < numbers.size(); first = last + 1) {
    last = first;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    if (!text.empty()) text += ',';
    text += first == last ? fmt::format("{}", numbers[first])
                          : fmt::format("{}-{}", numbers[first], numbers[last]);
  }
  return text;
}

std::vector<int> parse_ranges(std::string_view text) {
  std::vector<int> numbers;
  std::istringstream parts{std::string(text)};
  for (std::string part; std::getline(parts, part, ',');) {
    const size_t dash = part.find('-');
    const auto first = to_number(std::string_view(part).substr(0, dash));
    const auto last =
        dash == std::string::npos ? first : to_number(std::string_view(part).substr(dash + 1));
    if (!first || !last || *first < 0 || *last > kMaxCores) continue;
    for (int number = *first; number <= *last; ++number) numbers.push_back(number);
  }
  return numbers;
}

std::vector<int> allowed_cores() {
  const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(
      CPU_ALLOC(kMaxCores), [](cpu_set_t* allocated) { CPU_FREE(allocated); });
  const size_t size = CPU_ALLOC_SIZE(kMaxCores);
  std::vector<int> cores;
  if (set == nullptr || sched_getaffinity(0, size, set.get()) != 0) return cores;
  for (int core = 0; core < kMaxCores; ++core) {
    if (CPU_ISSET_S(static_cast<size_t>(core), size, set.get())) cores.push_back(core);
  }
  return cores;
}

std::vector<int> numa_nodes_of(const std::vector<int>& cores, const fs::path& sys) {
  std::set<int> nodes;
  std::error_code error;
  fs::directory_iterator entries(sys / "devices/system/node", error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const auto node = node_number(entries->path());
    if (!node) continue;
    const auto of_node = parse_ranges(first_line(entries->path() / "cpulist"));
    if (std::ranges::find_first_of(of_node, cores) != of_node.end()) nodes.insert(*node);
  }
  return {nodes.begin(), nodes.end()};
}

std::optional<int> numa_node_of_device(std::string_view bus_id, const fs::path& sys) {
  std::string name(bus_id);
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  const auto node = to_number(first_line(sys / "bus/pci/devices" / name / "numa_node"));
  return node && *node >= 0 ? node : std::nullopt;  // -1: the machine has one node, or does not say
}

}  // namespace bovila
