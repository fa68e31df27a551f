// Which NCCL the ranks of rank_death use: the library's (nccl_library.cpp) or, in the program
// rank_death_double, the double of tests/nccl (nccl_double.cpp).
#pragma once

#include <memory>

#include "bovila/dist/nccl_communicator.h"

/// Collective: for the tensors on `device`, or null where MPI is used. On the last rank
/// `signal_at_start`, unless it is 0, comes in the middle of NCCL's bootstrap, which the double
/// alone can do.
std::unique_ptr<bovila::NcclCommunicator> make_nccl(bovila::MpiCommunicator& host,
                                                    torch::Device device, int signal_at_start);
