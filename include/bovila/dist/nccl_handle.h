// One NCCL communicator from bootstrap to end, every wait with a time limit.
// Fed by an MpiCommunicator, which carries NCCL's id to all ranks; feeds dist/nccl_communicator.h.
#pragma once

#include <nccl.h>

#include <functional>
#include <string>

#include "bovila/dist/communicator.h"

namespace bovila {

/// Owns an ncclComm_t that spans the ranks of `host`. NCCL never blocks the host here: its calls
/// return at once (blocking = 0) and are polled, together with its asynchronous errors, until the
/// time limit of `host`. After any error the communicator is aborted, which ends its kernels, and
/// takes no further work.
class NcclHandle {
 public:
  /// Collective. The calling thread's current CUDA device becomes this rank's; `host` has to
  /// outlive this object. Rank 0 makes NCCL's id and MPI hands it on. Waits for the other ranks no
  /// longer than half of `host`'s time limit, or two minutes.
  /// @throws AgreedError on every rank, with NCCL's reason, when starting fails on one;
  /// ProgramError on the others when one has died.
  explicit NcclHandle(MpiCommunicator& host);
  /// Collective: lets enqueued work end, for no longer than the time limit. While an exception
  /// climbs nobody knows where the other ranks are: aborts instead.
  ~NcclHandle();
  NcclHandle(const NcclHandle&) = delete;
  NcclHandle& operator=(const NcclHandle&) = delete;

  /// Runs one NCCL call and returns when it is enqueued on its stream. @throws ProgramError
  void launch(const std::string& what, const std::function<ncclResult_t(ncclComm_t)>& call);
  /// Polls until `done`. @throws ProgramError past the time limit or when NCCL reports an error.
  void wait(const std::string& what, const std::function<bool()>& done);

 private:
  /// False when the others did not come in time.
  bool start(const ncclUniqueId& id, double limit_s);
  void finish() noexcept;
  void abort() noexcept;
  [[noreturn]] void fail(const std::string& what, ncclResult_t state);

  MpiCommunicator& host_;
  int num_exceptions_;
  ncclComm_t comm_ = nullptr;  // null: never started, or aborted
};

}  // namespace bovila
