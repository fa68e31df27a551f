// Which NCCL the ranks of rank_death and rank_hang use: the library's (nccl_library.cpp) or, in the
// programs rank_death_double and rank_hang_double, the double of tests/nccl (nccl_double.cpp).
#pragma once

#include <memory>

#include "bovila/dist/nccl_communicator.h"

/// Collective: for the tensors on `device`, or null where MPI is used. On the last rank
/// `signal_at_start`, unless it is 0, comes in the middle of NCCL's bootstrap, which the double
/// alone can do.
std::unique_ptr<bovila::NcclCommunicator> make_nccl(bovila::MpiCommunicator& host,
                                                    torch::Device device, int signal_at_start);

/// From now on NCCL, asked for progress, does not return on this rank, which the double alone can
/// do.
void hang_in_nccl();
