// The ranks as a grid: groups of neighbours that hold one model together, and across the groups
// the ranks of one place, which train on different questions. SPEC 14.
// Fed by run.tensor_parallel and dist/mpi_session.h; used by train/ and evaluation/.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bovila/dist/communicator.h"
#include "bovila/dist/mpi_session.h"

namespace bovila {

/// The communicators of a rank. A collective names its group by being called on it: decisions and
/// errors are those of `all`; questions, gradients and scores are shared out over `data`, whose
/// size is the number of groups; what a layer's parts compute is summed over `tensor`.
class RankGrid {
 public:
  /// Each rank holds a model alone.
  RankGrid(Communicator& all) : all_(all), data_(all) {}  // NOLINT: ranks alone are a grid
  RankGrid(Communicator& all, Communicator& data, Communicator& tensor)
      : all_(all), data_(data), tensor_(&tensor) {}

  Communicator& all() const { return all_; }
  Communicator& data() const { return data_; }
  /// Null where each rank holds a model alone.
  Communicator* tensor() const { return tensor_; }

  void set_stage(const std::string& stage) const;

 private:
  Communicator& all_;
  Communicator& data_;
  Communicator* tensor_ = nullptr;
};

/// "2 groups of 2 ranks hold the model together (0-1, 2-3), the i-th of a group part i of 2 of
/// every layer".
std::string grid_text(int64_t num_ranks, int64_t tensor_parallel);

/// @throws UserError when groups of `tensor_parallel` neighbours do not come out even, or when one
/// lies on several nodes. `nodes`: the number of each rank's node, in the order of the ranks.
void check_grid(int64_t tensor_parallel, const std::vector<int>& nodes);

/// The MPI communicators of a grid whose groups have more than one rank.
class GridCommunicators {
 public:
  /// Collective over `all`; `node` has those of them that are on this rank's node. Their time limit
  /// is that of `all`. @throws AgreedError for what check_grid throws.
  GridCommunicators(MpiCommunicator& all, MpiCommunicator& node, int64_t tensor_parallel);

  MpiCommunicator& tensor() { return tensor_; }
  MpiCommunicator& data() { return data_; }
  /// The ranks of this node that have the same part of the model.
  MpiCommunicator& node_data() { return node_data_; }

 private:
  int place_;  // in its group
  MpiComm tensor_handle_, data_handle_, node_data_handle_;
  MpiCommunicator tensor_, data_, node_data_;
};

}  // namespace bovila
