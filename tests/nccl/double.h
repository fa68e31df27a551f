// A double of NCCL for machines without a GPU: the functions of nccl.h that bovila calls, defined
// in the test program and so found before the library's. Collectives work on host memory between
// the real MPI ranks, are in progress for some polls as the real ones are, and fail or hang on
// request. It also stands before MPI's collectives and notes those that begin while NCCL's are in
// flight.
#pragma once

#include <mpi.h>
#include <nccl.h>

#include <memory>
#include <string>
#include <vector>

#include "bovila/dist/comm_stream.h"

struct NcclDouble {
  // What this rank's NCCL shall do.
  std::string failing_call;                  ///< this function returns `failure`
  ncclResult_t failure = ncclSystemError;    ///< what it returns
  ncclResult_t async_failure = ncclSuccess;  ///< what a later poll of any communicator finds
  bool skips_start = false;                  ///< never joins the others in the bootstrap
  int signal_at_start = 0;                   ///< raised instead of joining them, as by a kill
  bool skips_work = false;                   ///< never joins the others in a collective
  bool hangs_in_poll = false;                ///< asked whether work has ended, it does not return
  bool never_finalizes = false;              ///< ncclCommFinalize stays in progress
  bool never_aborts = false;                 ///< ncclCommAbort does not return
  double patience_s = 20;                    ///< how long the "GPU" waits for its peers at most
  // What it saw.
  std::vector<std::string> calls;       ///< "ncclAllReduce 5", in order; not the polls
  std::vector<std::string> violations;  ///< of NCCL's rules and of ours; have to stay empty
};

/// This rank's.
NcclDouble& nccl_double();
/// Collective: forgets what was asked for and seen, and gives the next communicators fresh lines:
/// those of `spans` to its ranks, in this order; without any, to all ranks.
void reset_nccl_double(const std::vector<MPI_Comm>& spans = {});
/// A stream for host memory, on which the double's collectives end; each communicator has its own.
std::unique_ptr<bovila::CommStream> make_host_stream();
