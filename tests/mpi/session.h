// The MPI session that main of the MPI tests has started.
#pragma once

#include "bovila/dist/communicator.h"
#include "bovila/dist/mpi_session.h"

extern const bovila::MpiSession* test_session;

/// All ranks of the test, with a time limit short enough for a test.
inline bovila::MpiCommunicator all_ranks() {
  return bovila::MpiCommunicator(MPI_COMM_WORLD, /*timeout_s=*/60);
}
