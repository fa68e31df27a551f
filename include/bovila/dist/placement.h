// Where each rank computes: host, cores, NUMA nodes, GPU; and what is wrong with that.
// Fed by dist/topology.h and CUDA; feeds the lines at a run's start (main/run.cpp) and the table of
// train/self_check.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bovila/dist/communicator.h"
#include "bovila/dist/libtorch.h"

namespace bovila {

/// Of one rank.
struct Place {
  std::string host;
  std::vector<int> cores;       ///< that the launcher lets it use; none: not known
  std::vector<int> numa_nodes;  ///< of these cores; none: not known
  int threads = 1;              ///< that it computes with
  std::string gpu;              ///< "NVIDIA H100 80GB HBM3"; "": it computes on the CPU
  std::string gpu_bus;          ///< "0000:1B:00.0"
  std::optional<int> gpu_numa_node = std::nullopt;

  bool operator==(const Place&) const = default;
};

/// This rank's, on the device that it computes on. @throws ProgramError in CUDA's words.
Place find_place(torch::Device device);

/// A place as text, for the other ranks, and back.
std::string to_text(const Place& place);
Place to_place(const std::string& text);

/// Collective: every rank's place, in their order, on all ranks.
/// @throws AgreedError on every rank for what find_place throws.
std::vector<Place> gather_places(Communicator& ranks, torch::Device device);

/// What a run says at its start: its size in a line, then where the ranks are, a line for those
/// that follow each other in the same place, at most `max_lines` of them. `program` begins the
/// first.
std::vector<std::string> start_up_lines(const std::string& program,
                                        const std::vector<Place>& places, size_t max_lines = 16);

/// What makes ranks slow without a sound, each in a sentence with what to do: ranks of a host that
/// compute with more threads than they have cores, and GPUs that hang on another NUMA node than
/// their ranks' cores. What is not known is no concern.
std::vector<std::string> placement_concerns(const std::vector<Place>& places);

}  // namespace bovila
