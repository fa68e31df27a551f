// Non-blocking MPI collectives, each waited for with a time limit.
#include <limits>
#include <numeric>

#include "bovila/core/error.h"
#include "bovila/dist/communicator.h"
#include "bovila/dist/libtorch.h"
#include "bovila/dist/mpi_session.h"
#include "bovila/dist/polling.h"

namespace bovila {
namespace {

constexpr int64_t kMaxCount = std::numeric_limits<int>::max();  // MPI's counts are ints

MPI_Datatype mpi_type(const torch::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case torch::kFloat32:
      return MPI_FLOAT;
    case torch::kFloat64:
      return MPI_DOUBLE;
    case torch::kInt64:
      return MPI_INT64_T;
    default:
      throw ProgramError("a tensor of type {} cannot be reduced over MPI",
                         torch::toString(tensor.scalar_type()));
  }
}

int checked_count(const torch::Tensor& tensor) {
  BOVILA_CHECK(tensor.is_cpu(),
               "MPI takes tensors in host memory only, got one on {}; a GPU's tensors go through "
               "the NcclCommunicator of that GPU",
               tensor.device().str());
  BOVILA_CHECK(tensor.is_contiguous() && tensor.numel() <= kMaxCount,
               "MPI takes contiguous tensors of at most 2^31 - 1 elements");
  return static_cast<int>(tensor.numel());
}

}  // namespace

MpiCommunicator::MpiCommunicator(MPI_Comm comm, double timeout_s)
    : comm_(comm), timeout_s_(timeout_s) {
  MPI_CHECK(MPI_Comm_rank(comm_, &rank_));
  MPI_CHECK(MPI_Comm_size(comm_, &size_));
}

void MpiCommunicator::wait(MPI_Request request, const std::string& what) const {
  const uint64_t note = notes().begin(what);
  const bool came = poll_until(timeout_s_, [&] {
    int done = 0;
    notes().turn();
    MPI_CHECK(MPI_Test(&request, &done, MPI_STATUS_IGNORE));
    return done != 0;
  });
  if (!came) give_up(timeout_s_, what);
  notes().end(note);
}

void MpiCommunicator::all_reduce(torch::Tensor& tensor, ReduceOp op) {
  check_reduction(tensor, op);
  const int count = checked_count(tensor);
  if (size_ == 1) return;
  MPI_Request request;
  MPI_CHECK(MPI_Iallreduce(MPI_IN_PLACE, tensor.data_ptr(), count, mpi_type(tensor),
                           op == ReduceOp::kMax ? MPI_MAX : MPI_SUM, comm_, &request));
  wait(request, describe("an all-reduce", tensor));
  if (op == ReduceOp::kMean) tensor.div_(size_);
}

void MpiCommunicator::broadcast(torch::Tensor& tensor, int root) {
  const int count = checked_count(tensor);
  if (size_ == 1) return;
  MPI_Request request;
  MPI_CHECK(MPI_Ibcast(tensor.data_ptr(), count, mpi_type(tensor), root, comm_, &request));
  wait(request, describe("a broadcast", tensor));
}

void MpiCommunicator::barrier() {
  if (size_ == 1) return;
  MPI_Request request;
  MPI_CHECK(MPI_Ibarrier(comm_, &request));
  wait(request, "a barrier");
}

std::vector<std::string> MpiCommunicator::all_gather(const std::string& bytes) {
  if (size_ == 1) return {bytes};
  const auto ranks = static_cast<size_t>(size_);
  std::vector<int> sizes(ranks), first(ranks);
  const int mine = static_cast<int>(bytes.size());
  MPI_Request request;
  MPI_CHECK(MPI_Iallgather(&mine, 1, MPI_INT, sizes.data(), 1, MPI_INT, comm_, &request));
  wait(request, "a gather of sizes");
  std::exclusive_scan(sizes.begin(), sizes.end(), first.begin(), 0);
  std::string all(static_cast<size_t>(first.back() + sizes.back()), '\0');
  MPI_CHECK(MPI_Iallgatherv(bytes.data(), mine, MPI_CHAR, all.data(), sizes.data(), first.data(),
                            MPI_CHAR, comm_, &request));
  wait(request, "a gather");
  std::vector<std::string> out;
  for (size_t r = 0; r < ranks; ++r) {
    out.push_back(all.substr(static_cast<size_t>(first[r]), static_cast<size_t>(sizes[r])));
  }
  return out;
}

std::string MpiCommunicator::broadcast(const std::string& bytes, int root) {
  if (size_ == 1) return bytes;
  int64_t size = static_cast<int64_t>(bytes.size());
  MPI_Request request;
  MPI_CHECK(MPI_Ibcast(&size, 1, MPI_INT64_T, root, comm_, &request));
  wait(request, "a broadcast of a size");
  std::string out = bytes;
  out.resize(static_cast<size_t>(size));
  MPI_CHECK(MPI_Ibcast(out.data(), static_cast<int>(size), MPI_CHAR, root, comm_, &request));
  wait(request, "a broadcast");
  return out;
}

}  // namespace bovila
