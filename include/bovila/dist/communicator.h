// What ranks say to each other: reductions of tensors and small pieces of host data.
// Fed by dist/mpi_session.h; used by train/ (gradients), evaluation/ (scores) and dist/agreement.h
// (decisions). Tensors on a GPU need dist/nccl_communicator.h.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "bovila/dist/hang/collective_record.h"

namespace at {
class Tensor;
}

namespace bovila {

enum class ReduceOp { kSum, kMean, kMax };

/// A group of ranks. Collective, each of its functions from all_reduce to max: all ranks call them,
/// in the same order, with tensors of the same size and type. All throw ProgramError when
/// communication fails or when the other ranks do not come within the time limit; the message names
/// the rank, what the ranks were doing (set_stage) and the call.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// Reduces a contiguous tensor (fp32, fp64 or int64; no mean of int64) over the ranks, in place,
  /// the same bits on all.
  virtual void all_reduce(at::Tensor& tensor, ReduceOp op) = 0;
  /// Overwrites a contiguous tensor by `root`'s.
  virtual void broadcast(at::Tensor& tensor, int root) = 0;
  virtual void barrier() = 0;

  /// Small host data: every rank's bytes, in the order of the ranks, on all ranks.
  virtual std::vector<std::string> all_gather(const std::string& bytes) = 0;
  /// Small host data: returns `root`'s bytes on all ranks.
  virtual std::string broadcast(const std::string& bytes, int root) = 0;

  /// The largest of the ranks' numbers.
  int64_t max(int64_t value);

  /// The host waits, no longer than the time limit, for the results of all earlier calls. A tensor
  /// on a GPU is ready for later work of the GPU without it; call it before the host reads one, for
  /// reading has no time limit.
  virtual void synchronize() {}

  /// What the ranks are doing from now on, for messages: "step 12".
  virtual void set_stage(std::string stage);
  /// How who() begins, instead of "rank 1 of 4": a rank of a smaller group goes by the number that
  /// it has among all.
  void set_name(std::string name) { name_ = std::move(name); }
  /// Has the calls noted from now on in `record`, which outlives this object, as those of `group`.
  void record_in(CollectiveRecord& record, RankGroup group) {
    notes_ = GroupNotes(record, std::move(group));
  }
  const GroupNotes& notes() const { return notes_; }
  /// This rank for messages: "rank 1 of 4 (step 12)".
  std::string who() const;
  /// Has the hang reported (dist/hang/hang_reporter.h). @throws ProgramError: waited_in_vain.
  [[noreturn]] void give_up(double limit_s, const std::string& what) const;

 private:
  std::string name_;
  std::string stage_;
  GroupNotes notes_;
};

/// Communication by MPI, for tensors on the CPU; others are refused, so that no MPI call ever sees
/// a GPU's memory.
class MpiCommunicator final : public Communicator {
 public:
  /// Uses, and does not own, `comm`. No call waits for other ranks longer than `timeout_s` seconds.
  MpiCommunicator(MPI_Comm comm, double timeout_s);
  /// From now on; every rank sets the same.
  void set_timeout(double seconds) { timeout_s_ = seconds; }
  double timeout_s() const { return timeout_s_; }
  /// This process alone; needs no MPI session.
  static MpiCommunicator self() { return {}; }
  MPI_Comm get() const { return comm_; }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void all_reduce(at::Tensor& tensor, ReduceOp op) override;
  void broadcast(at::Tensor& tensor, int root) override;
  void barrier() override;
  std::vector<std::string> all_gather(const std::string& bytes) override;
  std::string broadcast(const std::string& bytes, int root) override;

 private:
  MpiCommunicator() = default;
  /// Polls a request that was just made until it is done. @throws ProgramError past the time limit.
  void wait(MPI_Request request, const std::string& what) const;

  MPI_Comm comm_ = MPI_COMM_NULL;
  double timeout_s_ = 0;
  int rank_ = 0;
  int size_ = 1;
};

/// @throws ProgramError for a tensor that no Communicator reduces: one with gaps, or the mean of
/// integers.
void check_reduction(const at::Tensor& tensor, ReduceOp op);
/// A collective for messages: "an all-reduce of 12 Float".
std::string describe(const char* collective, const at::Tensor& tensor);
/// What a rank says that waited `limit_s` seconds in vain.
std::string waited_in_vain(const std::string& who, double limit_s, const std::string& what);

}  // namespace bovila
