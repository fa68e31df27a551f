// `bovila --self-check`: whether this installation, on these nodes and devices, computes and
// communicates as it should. Fed by nothing but the machine; its report is for a person.
#pragma once

#include <ostream>

#include "bovila/dist/communicator.h"
#include "bovila/dist/libtorch.h"
#include "bovila/dist/mpi_session.h"

namespace bovila {

/// Collective, about ten seconds. Reads no deck and no file. Rank 0 writes to `out`: versions of
/// the libraries, a table of the ranks, collectives (dist/collective_check.h), a training step
/// (train/step_check.h), and "self-check passed" as the last line.
/// `ranks` spans all of `session`'s; an NcclCommunicator where `device` is a GPU.
/// @throws AgreedError (exit code 1) on every rank, naming what differed.
void self_check(const MpiSession& session, Communicator& ranks, torch::Device device,
                std::ostream& out);

}  // namespace bovila
