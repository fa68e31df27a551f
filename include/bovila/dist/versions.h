// What a run is made of: the program's build and the libraries that it runs with.
// Fed by core/build_info.h and by the libraries themselves; feeds --build-info, the self-check,
// build.json in a run's folder and the manifest of its checkpoints.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace bovila {

/// Name and text: version, git, compiler, flags, build_type, then LibTorch, CUDA, NCCL, MPI, HDF5.
/// Libraries are asked at run time, but for LibTorch, which cannot be: others than those that this
/// was built with may have been found. Needs neither an MPI session nor a GPU.
using Versions = std::vector<std::pair<std::string, std::string>>;
Versions versions();

/// One line each.
std::string versions_table(const Versions& versions);
/// One JSON object.
std::string versions_json(const Versions& versions);

}  // namespace bovila
