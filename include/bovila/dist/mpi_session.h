// MPI's life in this process: started first, ended last, by scope.
// Fed by mpirun, srun or nothing (one rank); feeds dist/communicator.h.
#pragma once

#include <mpi.h>

#include <string>

namespace bovila {

/// Throws ProgramError with MPI's own words and the call's text when an MPI call fails.
#define MPI_CHECK(call) ::bovila::check_mpi((call), #call)
void check_mpi(int status, const char* call);

/// Owns a communicator handle made by MPI_Comm_split or MPI_Comm_dup.
class MpiComm {
 public:
  explicit MpiComm(MPI_Comm comm) : comm_(comm) {}
  MpiComm(MpiComm&& other) noexcept : comm_(other.comm_) { other.comm_ = MPI_COMM_NULL; }
  MpiComm& operator=(MpiComm&&) = delete;
  ~MpiComm();
  MPI_Comm get() const { return comm_; }

 private:
  MPI_Comm comm_;
};

/// The ranks of `comm` that give the same color, in their order. Collective.
MpiComm split_of(MPI_Comm comm, int color);

/// MPI_Init to MPI_Finalize. Make one, in main, before anything that communicates.
class MpiSession {
 public:
  /// Collective. MPI is asked for MPI_THREAD_FUNNELED: only the main thread communicates.
  MpiSession(int* argc, char*** argv);
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  /// The ranks that share this rank's memory (the ranks of its node). Collective.
  MpiComm node() const;
  /// "host:rank" for messages.
  std::string name() const;
  /// Ends every rank of the job with this exit code, a second later: ranks that fail for the same
  /// reason, such as a peer that died, still say so. For errors that the ranks could not agree on;
  /// does not return.
  [[noreturn]] void abort(int exit_code) const;

 private:
  int rank_ = 0;
  int size_ = 1;
};

}  // namespace bovila
