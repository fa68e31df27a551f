// Whether the ranks' collectives give the right numbers, and how fast: known values against what
// arithmetic says. Fed by a Communicator of any kind; used by train/self_check.h.
#pragma once

#include <ostream>

#include "bovila/dist/communicator.h"
#include "bovila/dist/libtorch.h"

namespace bovila {

/// Collective: all-reduce (sum) and broadcast of fp32 tensors on `device`, 1 KiB to 64 MiB, whose
/// results fp32 holds exactly; each has to be right in every element on every rank. Rank 0 writes
/// a table of times to `out`, in bus bandwidth: what a link carries when the work is spread evenly,
/// 2 (n - 1) / n * bytes / time for an all-reduce of n ranks, bytes / time for a broadcast;
/// one rank alone has none.
/// Sizes that would take more than some seconds are left out, and the table says so.
/// @throws AgreedError on every rank that names the collective, its size and the first element that
/// differs; ProgramError when communication itself fails.
void check_collectives(Communicator& ranks, torch::Device device, std::ostream& out);

}  // namespace bovila
