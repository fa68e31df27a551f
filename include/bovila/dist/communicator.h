// What ranks say to each other: reductions of tensors and small pieces of host data.
// Fed by dist/mpi_session.h; used by train/ (gradients, decisions, predictions) and
// dist/agreement.h.
#pragma once

#include <mpi.h>
#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <vector>

namespace bovila {

enum class ReduceOp { kSum, kMax };

/// A group of ranks. Every member function is collective: all ranks call it, in the same order,
/// with tensors of the same size and type. All throw ProgramError when communication fails or when
/// the other ranks do not come within the time limit.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// Reduces a contiguous tensor (fp32, fp64 or int64) over the ranks, in place, the same bits on
  /// all.
  virtual void all_reduce(torch::Tensor& tensor, ReduceOp op) = 0;
  /// Overwrites a contiguous tensor by `root`'s.
  virtual void broadcast(torch::Tensor& tensor, int root) = 0;
  virtual void barrier() = 0;

  /// Small host data: every rank's bytes, in the order of the ranks, on all ranks.
  virtual std::vector<std::string> all_gather(const std::string& bytes) = 0;
  /// Small host data: returns `root`'s bytes on all ranks.
  virtual std::string broadcast(const std::string& bytes, int root) = 0;

  /// The largest of the ranks' numbers.
  int64_t max(int64_t value);
};

/// Communication by MPI, for tensors on the CPU.
class MpiCommunicator final : public Communicator {
 public:
  /// Uses, and does not own, `comm`. No call waits for other ranks longer than `timeout_s` seconds.
  MpiCommunicator(MPI_Comm comm, double timeout_s);
  /// From now on; every rank sets the same.
  void set_timeout(double seconds) { timeout_s_ = seconds; }
  /// This process alone; needs no MPI session.
  static MpiCommunicator self() { return {}; }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void all_reduce(torch::Tensor& tensor, ReduceOp op) override;
  void broadcast(torch::Tensor& tensor, int root) override;
  void barrier() override;
  std::vector<std::string> all_gather(const std::string& bytes) override;
  std::string broadcast(const std::string& bytes, int root) override;

 private:
  MpiCommunicator() = default;
  /// Polls a request that was just made until it is done. @throws ProgramError past the time limit.
  void wait(MPI_Request request, const char* what) const;

  MPI_Comm comm_ = MPI_COMM_NULL;
  double timeout_s_ = 0;
  int rank_ = 0;
  int size_ = 1;
};

}  // namespace bovila
