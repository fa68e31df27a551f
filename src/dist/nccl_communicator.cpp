// NCCL's collectives, each between two events; MPI's after NCCL's have ended.
#include "bovila/dist/nccl_communicator.h"

#include <utility>

#include "bovila/core/error.h"
#include "bovila/dist/agreement.h"

namespace bovila {
namespace {

ncclDataType_t nccl_type(const torch::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case torch::kFloat32:
      return ncclFloat32;
    case torch::kFloat64:
      return ncclFloat64;
    case torch::kFloat16:
      return ncclFloat16;
    case torch::kBFloat16:
      return ncclBfloat16;
    case torch::kInt64:
      return ncclInt64;
    default:
      throw ProgramError("a tensor of type {} cannot be sent over NCCL",
                         torch::toString(tensor.scalar_type()));
  }
}

ncclRedOp_t nccl_op(ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum:
      return ncclSum;
    case ReduceOp::kMean:
      return ncclAvg;
    case ReduceOp::kMax:
      return ncclMax;
  }
  throw ProgramError("no such reduction: {}", static_cast<int>(op));
}

}  // namespace

NcclCommunicator::NcclCommunicator(MpiCommunicator& host, torch::Device device)
    : NcclCommunicator(host, device, nullptr) {
  run_together(host_, [&] { stream_ = make_cuda_stream(device_); });
}

NcclCommunicator::NcclCommunicator(MpiCommunicator& host, torch::Device device,
                                   std::unique_ptr<CommStream> stream)
    : host_(host), device_(device), stream_(std::move(stream)), nccl_(host) {}

void NcclCommunicator::enqueue(const std::string& what,
                               const std::function<ncclResult_t(ncclComm_t)>& call) {
  const uint64_t note = notes().begin(what);
  stream_->follow_compute();
  nccl_.launch(what, call);
  stream_->lead_compute();
  notes().enqueued(note);
  pending_ = what;
}

void NcclCommunicator::all_reduce(torch::Tensor& tensor, ReduceOp op) {
  if (!is_mine(tensor)) {
    synchronize();
    return host_.all_reduce(tensor, op);
  }
  check_reduction(tensor, op);
  const auto type = nccl_type(tensor);
  enqueue(describe("an all-reduce", tensor), [&](ncclComm_t comm) {
    return ncclAllReduce(tensor.data_ptr(), tensor.data_ptr(), static_cast<size_t>(tensor.numel()),
                         type, nccl_op(op), comm, stream_->get());
  });
}

void NcclCommunicator::broadcast(torch::Tensor& tensor, int root) {
  if (!is_mine(tensor)) {
    synchronize();
    return host_.broadcast(tensor, root);
  }
  BOVILA_CHECK(tensor.is_contiguous(), "a broadcast takes contiguous tensors");
  const auto type = nccl_type(tensor);
  enqueue(describe("a broadcast", tensor), [&](ncclComm_t comm) {
    return ncclBroadcast(tensor.data_ptr(), tensor.data_ptr(), static_cast<size_t>(tensor.numel()),
                         type, root, comm, stream_->get());
  });
}

void NcclCommunicator::barrier() {
  synchronize();
  host_.barrier();
}

std::vector<std::string> NcclCommunicator::all_gather(const std::string& bytes) {
  synchronize();
  return host_.all_gather(bytes);
}

std::string NcclCommunicator::broadcast(const std::string& bytes, int root) {
  synchronize();
  return host_.broadcast(bytes, root);
}

void NcclCommunicator::synchronize() {
  wait_for_own();
  for (NcclCommunicator* other : others_) other->wait_for_own();
}

void NcclCommunicator::wait_for_own() {
  if (pending_.empty()) return;
  notes().wait_for_all();
  nccl_.wait(std::exchange(pending_, {}), [&] { return stream_->is_done(); });
  notes().end_all();
}

void NcclCommunicator::set_stage(std::string stage) {
  host_.set_stage(stage);
  Communicator::set_stage(std::move(stage));
}

}  // namespace bovila
