// The MPI session that main of the MPI tests has started, and what tests say about other ranks.
#pragma once

#include <string>

#include "bovila/dist/communicator.h"
#include "bovila/dist/libtorch.h"
#include "bovila/dist/mpi_session.h"

extern const bovila::MpiSession* test_session;

/// All ranks of the test, with a time limit short enough for a test.
inline bovila::MpiCommunicator all_ranks() {
  return bovila::MpiCommunicator(MPI_COMM_WORLD, /*timeout_s=*/60);
}

/// Collective: whether a CPU tensor has the same bits on all ranks.
inline bool same_on_all(bovila::Communicator& ranks, const torch::Tensor& tensor) {
  const auto values = tensor.detach().contiguous();
  const std::string mine(static_cast<const char*>(values.data_ptr()), values.nbytes());
  const auto all = ranks.all_gather(mine);
  return std::ranges::all_of(all, [&](const std::string& bytes) { return bytes == all.front(); });
}
