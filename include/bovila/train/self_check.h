// `bovila --self-check`: whether this installation, on these nodes and devices, computes and
// communicates as it should. Fed by nothing but the machine; its report is for a person.
#pragma once

#include <ostream>

#include "bovila/dist/communicator.h"
#include "bovila/dist/libtorch.h"

namespace bovila {

/// Collective, about ten seconds. Reads no deck and no file. Rank 0 writes to `out`: versions
/// (dist/versions.h), a table of the ranks and what is wrong with their places (dist/placement.h),
/// collectives (dist/collective_check.h), a training step
/// (train/step_check.h), and "self-check passed" as the last line.
/// `ranks` spans all; an NcclCommunicator where `device` is a GPU.
/// @throws AgreedError (exit code 1) on every rank, naming what differed.
void self_check(Communicator& ranks, torch::Device device, std::ostream& out);

}  // namespace bovila
