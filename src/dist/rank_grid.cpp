// Groups by the numbers of ranks, and one split of MPI's communicator for each direction.
#include "bovila/dist/rank_grid.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "bovila/core/error.h"
#include "bovila/dist/agreement.h"

namespace bovila {
namespace {

/// "ranks 2 and 3", "ranks 4 to 7".
std::string group_text(int64_t first, int64_t size) {
  return fmt::format("ranks {} {} {}", first, size == 2 ? "and" : "to", first + size - 1);
}

/// The number of every rank's node.
std::vector<int> gather_nodes(Communicator& all, Communicator& node) {
  const std::string first = node.broadcast(std::to_string(all.rank()), 0);
  std::vector<int> nodes;
  for (const std::string& text : all.all_gather(first)) nodes.push_back(std::stoi(text));
  return nodes;
}

/// `tensor_parallel`, where the ranks make such a grid. Collective.
int checked(MpiCommunicator& all, MpiCommunicator& node, int64_t tensor_parallel) {
  const auto nodes = gather_nodes(all, node);
  run_together(all, [&] { check_grid(tensor_parallel, nodes); });
  return static_cast<int>(tensor_parallel);
}

/// A communicator that names its ranks as all ranks know them.
MpiCommunicator named(const MpiComm& comm, const MpiCommunicator& all, const char* kind) {
  MpiCommunicator ranks(comm.get(), all.timeout_s());
  ranks.set_name(
      fmt::format("rank {} of {}, {} of {}", all.rank(), all.size(), kind, ranks.size()));
  return ranks;
}

}  // namespace

void RankGrid::set_stage(const std::string& stage) const {
  all_.set_stage(stage);
  if (tensor_ == nullptr) return;
  data_.set_stage(stage);
  tensor_->set_stage(stage);
}

std::string grid_text(int64_t num_ranks, int64_t tensor_parallel) {
  constexpr int64_t kMaxGroups = 8;
  std::vector<std::string> groups;
  for (int64_t first = 0; first < num_ranks; first += tensor_parallel) {
    if (std::ssize(groups) == kMaxGroups) {
      groups.emplace_back("...");
      break;
    }
    groups.push_back(fmt::format("{}-{}", first, first + tensor_parallel - 1));
  }
  return fmt::format(
      "each {} ranks hold the model together: {}; of every layer the i-th of them has part i of {}",
      tensor_parallel, fmt::join(groups, ", "), tensor_parallel);
}

void check_grid(int64_t tensor_parallel, const std::vector<int>& nodes) {
  const auto num_ranks = std::ssize(nodes);
  if (num_ranks % tensor_parallel != 0) {
    throw UserError(
        "run.tensor_parallel is {}, and {} started: expected a multiple of it (mpirun -np, Slurm: "
        "--ntasks)",
        tensor_parallel, num_ranks == 1 ? "1 rank was" : fmt::format("{} ranks were", num_ranks));
  }
  for (int64_t first = 0; first < num_ranks; first += tensor_parallel) {
    const auto begin = nodes.begin() + first, end = begin + tensor_parallel;
    if (std::all_of(begin, end, [&](int node) { return node == *begin; })) continue;
    throw UserError(
        "run.tensor_parallel is {}, and {} are not all on one node, which a group has to be: start "
        "a multiple of {} ranks on each node, neighbours together (Slurm: --ntasks-per-node, "
        "--distribution=block; mpirun: --map-by slot)",
        tensor_parallel, group_text(first, tensor_parallel), tensor_parallel);
  }
}

GridCommunicators::GridCommunicators(MpiCommunicator& all, MpiCommunicator& node,
                                     int64_t tensor_parallel)
    : place_(all.rank() % checked(all, node, tensor_parallel)),
      tensor_handle_(split_of(all.get(), all.rank() / static_cast<int>(tensor_parallel))),
      data_handle_(split_of(all.get(), place_)),
      node_data_handle_(split_of(node.get(), place_)),
      tensor_(named(tensor_handle_, all, "its group")),
      data_(named(data_handle_, all, "across groups")),
      node_data_(named(node_data_handle_, all, "its node")) {}

}  // namespace bovila
