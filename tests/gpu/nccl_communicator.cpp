// NCCL on real GPUs: the numbers that MPI gives, in order with the compute stream, in bounded time.
#include "bovila/dist/nccl_communicator.h"

#include <ATen/cuda/Sleep.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <doctest/doctest.h>

#include <chrono>
#include <functional>

#include "bovila/core/error.h"
#include "bovila/dist/gpu_checks.h"
#include "tests/gpu/session.h"

using namespace bovila;
using torch::Tensor;

namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kNcclCommunicatorLongSleep = 1'000'000'000;  // GPU cycles: half a second

Tensor on_gpu(const Tensor& tensor) {
  return tensor.to(*test_device);
}

double seconds_of(const std::function<void()>& call) {
  const auto start = Clock::now();
  call();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const ProgramError& error) {
    return error.what();
  }
  return "";
}

/// Largest error of `got` relative to the largest number of `expected`.
double relative_error(const Tensor& got, const Tensor& expected) {
  const auto wide = expected.to(torch::kFloat64);
  return ((got.cpu().to(torch::kFloat64) - wide).abs().max() / wide.abs().max()).item<double>();
}

/// The reduction of `values`, rounded to `type` first, computed by MPI in fp64.
Tensor reduce_by_mpi(MpiCommunicator& host, const Tensor& values, torch::ScalarType type,
                     ReduceOp op) {
  auto exact = values.to(type).to(torch::kFloat64);
  host.all_reduce(exact, op);
  return exact;
}

}  // namespace

TEST_CASE("sum, mean and max are MPI's, to the precision of the type") {
  auto host = all_ranks();
  NcclCommunicator nccl(host, *test_device);
  torch::manual_seed(host.rank());
  struct Case {
    torch::ScalarType type;
    double tolerance;  // some roundings of the type
  };
  for (const auto& [type, tolerance] :
       {Case{torch::kFloat64, 1e-14}, Case{torch::kFloat32, 1e-6}, Case{torch::kFloat16, 4e-3},
        Case{torch::kBFloat16, 3e-2}}) {
    for (const auto op : {ReduceOp::kSum, ReduceOp::kMean, ReduceOp::kMax}) {
      CAPTURE(torch::toString(type));
      const auto values = torch::randn({4, 25001}, torch::kFloat64);
      const auto expected = reduce_by_mpi(host, values, type, op);
      auto got = on_gpu(values.to(type));
      nccl.all_reduce(got, op);
      nccl.synchronize();
      CHECK(relative_error(got, expected) < tolerance);
      CHECK(same_on_all(nccl, got.cpu().view(torch::kUInt8)));
    }
  }
}

TEST_CASE("integers, and sums that fp32 and bf16 hold exactly, are exact") {
  auto host = all_ranks();
  NcclCommunicator nccl(host, *test_device);
  const int64_t total = int64_t{host.size()} * (host.size() + 1) / 2;
  for (const auto type : {torch::kInt64, torch::kFloat32, torch::kBFloat16}) {
    auto sum = torch::full({1000}, host.rank() + 1, on_gpu(torch::zeros({1}, type)).options());
    nccl.all_reduce(sum, ReduceOp::kSum);
    nccl.synchronize();
    CHECK(torch::equal(sum.cpu(), torch::full({1000}, total, type)));
  }
}

TEST_CASE("every rank's tensor can be the one that all get") {
  auto host = all_ranks();
  NcclCommunicator nccl(host, *test_device);
  for (const auto type : {torch::kFloat32, torch::kBFloat16, torch::kInt64}) {
    for (int root = 0; root < nccl.size(); ++root) {
      auto tensor = on_gpu(torch::full({1000}, nccl.rank(), type));
      nccl.broadcast(tensor, root);
      nccl.synchronize();
      CHECK(torch::equal(tensor.cpu(), torch::full({1000}, root, type)));
    }
  }
}

TEST_CASE("a reduction waits for what computes its input, and what follows waits for it") {
  auto host = all_ranks();
  NcclCommunicator nccl(host, *test_device);
  for (int round = 0; round < 10; ++round) {
    auto tensor = on_gpu(torch::zeros({1 << 20}));
    at::cuda::sleep(kNcclCommunicatorLongSleep / 20);  // the input comes late
    tensor.fill_(host.rank() + 1);
    nccl.all_reduce(tensor, ReduceOp::kMax);
    const auto doubled = tensor * 2;  // enqueued at once
    tensor.zero_();
    CHECK(doubled.min().item<float>() == 2.0F * static_cast<float>(host.size()));
    CHECK(doubled.max().item<float>() == 2.0F * static_cast<float>(host.size()));
  }
}

TEST_CASE("the same order holds on a compute stream that is not the default one") {
  auto host = all_ranks();
  NcclCommunicator nccl(host, *test_device);
  const auto side = c10::cuda::getStreamFromPool(false, test_device->index());
  const c10::cuda::CUDAStreamGuard guard(side);
  auto tensor = on_gpu(torch::zeros({1 << 20}));
  at::cuda::sleep(kNcclCommunicatorLongSleep / 10);
  tensor.fill_(host.rank() + 1);
  nccl.all_reduce(tensor, ReduceOp::kMax);
  tensor.mul_(3);
  CHECK(tensor.min().item<float>() == 3.0F * static_cast<float>(host.size()));
}

TEST_CASE("the host does not wait for a reduction until it asks for it") {
  auto host = all_ranks();
  NcclCommunicator nccl(host, *test_device);
  auto tensor = on_gpu(torch::ones({1000}));
  nccl.all_reduce(tensor, ReduceOp::kMax);  // the first one sets connections up
  nccl.synchronize();
  const auto compute = c10::cuda::getCurrentCUDAStream();
  at::cuda::sleep(kNcclCommunicatorLongSleep);
  nccl.all_reduce(tensor, ReduceOp::kMax);
  CHECK_FALSE(compute.query());
  nccl.synchronize();
  CHECK(torch::equal(tensor.cpu(), torch::ones({1000})));
}

TEST_CASE("tensors on the CPU and host data go over MPI after NCCL's work has ended") {
  auto host = all_ranks();
  NcclCommunicator nccl(host, *test_device);
  auto on_device = on_gpu(torch::ones({1000})), on_host = torch::ones({10});
  at::cuda::sleep(kNcclCommunicatorLongSleep / 4);
  nccl.all_reduce(on_device, ReduceOp::kMax);
  nccl.all_reduce(on_host, ReduceOp::kSum);
  CHECK(c10::cuda::getCurrentCUDAStream().query());
  CHECK(torch::equal(on_host, torch::full({10}, double(host.size()), torch::kFloat32)));
  CHECK(nccl.all_gather("x").size() == static_cast<size_t>(host.size()));
  CHECK(nccl.max(host.rank()) == host.size() - 1);
}

TEST_CASE("MPI refuses a tensor on the GPU") {
  auto host = all_ranks();
  auto tensor = on_gpu(torch::ones({4}));
  CHECK(error_of([&] {
          host.all_reduce(tensor, ReduceOp::kSum);
        }).find("MPI takes tensors in host memory only, got one on cuda:") != std::string::npos);
}

TEST_CASE("a rank that does not come is an error within the time limit, and the GPU stays usable") {
  auto host = all_ranks();
  if (host.size() == 1) return;
  constexpr double kLimit_s = 3;
  {
    MpiCommunicator impatient(MPI_COMM_WORLD, /*timeout_s=*/60);
    NcclCommunicator nccl(impatient, *test_device);
    auto tensor = on_gpu(torch::ones({1000}));
    nccl.all_reduce(tensor, ReduceOp::kMax);
    nccl.barrier();
    impatient.set_timeout(kLimit_s);
    nccl.set_stage("step 12");
    std::string message;
    if (host.rank() != host.size() - 1) {
      nccl.all_reduce(tensor, ReduceOp::kMax);
      const double taken = seconds_of([&] { message = error_of([&] { nccl.synchronize(); }); });
      CHECK(message == fmt::format("rank {} of {} (step 12) waited 3 s for the others in an "
                                   "all-reduce of 1000 Float; one of them has died or hangs",
                                   host.rank(), host.size()));
      CHECK(taken < kLimit_s + 12);  // with ncclCommAbort's own limit
    }
    host.barrier();
  }
  CHECK(on_gpu(torch::ones({1000})).sum().item<float>() == 1000);
  host.barrier();
  NcclCommunicator again(host, *test_device);
  auto tensor = on_gpu(torch::full({1}, host.rank(), torch::kInt64));
  again.all_reduce(tensor, ReduceOp::kMax);
  again.synchronize();
  CHECK(tensor.item<int64_t>() == host.size() - 1);
}

TEST_CASE("an exception that climbs past a communicator with work in flight ends it on all ranks") {
  auto host = all_ranks();
  const std::string message = error_of([&] {
    NcclCommunicator nccl(host, *test_device);
    auto tensor = on_gpu(torch::ones({1000}));
    nccl.all_reduce(tensor, ReduceOp::kMax);
    throw ProgramError("something else");
  });
  CHECK(message == "something else");
  CHECK(on_gpu(torch::ones({1000})).sum().item<float>() == 1000);
  host.barrier();
}

TEST_CASE("a communicator on another device than the rank's own is refused") {
  auto host = all_ranks();
  CHECK_THROWS(make_cuda_stream(torch::kCPU));
  CHECK_THROWS(make_cuda_stream(torch::kCUDA));
  host.barrier();
}
