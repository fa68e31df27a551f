// What of the machine a process may use and how it hangs together: cores, NUMA nodes, a GPU's.
// Fed by the process's CPU affinity (as mpirun or Slurm set it) and /sys; feeds dist/threads.h and
// dist/placement.h.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bovila {

/// Ascending numbers as /sys and Slurm write them: "0-3,8"; "" for none.
std::string to_ranges(const std::vector<int>& numbers);
/// The numbers of such a text, in its order. A part that is no range counts as none.
std::vector<int> parse_ranges(std::string_view text);

/// The cores, as the operating system counts them, that this process may run on; none where it does
/// not say.
std::vector<int> allowed_cores();

/// The NUMA nodes of these cores, ascending; none where `sys` does not say.
std::vector<int> numa_nodes_of(const std::vector<int>& cores,
                               const std::filesystem::path& sys = "/sys");

/// The NUMA node that a PCI device ("0000:1B:00.0", in any case) hangs on; nothing where `sys` does
/// not say.
std::optional<int> numa_node_of_device(std::string_view bus_id,
                                       const std::filesystem::path& sys = "/sys");

}  // namespace bovila
