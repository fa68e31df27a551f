// The ranks of a command as its deck and its device group them.
// Fed by dist/rank_grid.h and dist/nccl_communicator.h; feeds run.cpp and answer.cpp.
#pragma once

#include <memory>
#include <optional>

#include "bovila/dist/nccl_communicator.h"
#include "bovila/dist/rank_grid.h"

namespace bovila {

class RunRanks {
 public:
  /// Collective over `all`; `node` has those of them that are on this rank's node. Both have to
  /// outlive it. @throws AgreedError when they make no grid of groups of so many.
  RunRanks(MpiCommunicator& all, MpiCommunicator& node, int64_t tensor_parallel);

  /// Collective. From now on tensors on `device` go over NCCL, where it is a GPU.
  void start_nccl(torch::Device device);

  /// Collective: has the collectives of all these communicators noted, for the report of a hang.
  void note_in(CollectiveRecord& record);

  RankGrid grid();
  /// The ranks of this node that have the same part of the model.
  MpiCommunicator& sharers() { return groups_ ? groups_->node_data() : node_; }

 private:
  MpiCommunicator &all_, &node_;
  std::optional<GridCommunicators> groups_;  // of more than one rank
  std::unique_ptr<NcclCommunicator> nccl_, data_nccl_, tensor_nccl_;
};

}  // namespace bovila
