// What ranks with GPUs say to each other: tensors on the GPU by NCCL, everything else by MPI.
// Fed by dist/device.h and the MpiCommunicator that it wraps; used by train/ and evaluation/
// in its place.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bovila/dist/comm_stream.h"
#include "bovila/dist/communicator.h"
#include "bovila/dist/nccl_handle.h"

namespace bovila {

/// A Communicator for contiguous tensors on this rank's device (fp32, fp64, fp16, bf16 or int64)
/// and, through `host`, for those on the CPU. Calls with the device's tensors return when the work
/// is enqueued; later work on LibTorch's current stream waits for it, the host does so in
/// synchronize(), and before it uses MPI: collectives of NCCL and of MPI are never in flight at
/// once. That holds for `host` too while it is used through this object only. A mean over NCCL
/// scales each rank's numbers before they are added, so that fp16 does not overflow; where the
/// number of ranks is no power of two it may differ from MPI's in the last bit.
class NcclCommunicator final : public Communicator {
 public:
  /// Collective. `device` has an index and is CUDA's current one (choose_device makes it so);
  /// `host` has to outlive this object, and its time limit is this object's.
  /// @throws AgreedError on every rank when starting NCCL fails on one.
  NcclCommunicator(MpiCommunicator& host, torch::Device device);
  /// The same with a stream from elsewhere.
  NcclCommunicator(MpiCommunicator& host, torch::Device device, std::unique_ptr<CommStream> stream);

  int rank() const override { return host_.rank(); }
  int size() const override { return host_.size(); }
  void all_reduce(torch::Tensor& tensor, ReduceOp op) override;
  void broadcast(torch::Tensor& tensor, int root) override;
  void barrier() override;
  std::vector<std::string> all_gather(const std::string& bytes) override;
  std::string broadcast(const std::string& bytes, int root) override;
  void synchronize() override;
  /// Where a device has several: before the host waits here or uses MPI, it also waits for what is
  /// in flight on `other`, which has to live as long as this object is used.
  void wait_also_for(NcclCommunicator& other) { others_.push_back(&other); }
  void set_stage(std::string stage) override;

 private:
  bool is_mine(const torch::Tensor& tensor) const { return tensor.device() == device_; }
  void wait_for_own();
  void enqueue(const std::string& what, const std::function<ncclResult_t(ncclComm_t)>& call);

  MpiCommunicator& host_;
  torch::Device device_;
  std::unique_ptr<CommStream> stream_;
  NcclHandle nccl_;  // after stream_: NCCL ends before the stream that it works on
  std::vector<NcclCommunicator*> others_;
  std::string pending_;  // the last call whose end the host has not seen; empty: none
};

}  // namespace bovila
