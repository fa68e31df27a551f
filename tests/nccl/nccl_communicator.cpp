// Collectives through the double: the same numbers as MPI's, in order, never beside MPI's.
#include "bovila/dist/nccl_communicator.h"

#include <doctest/doctest.h>

#include <chrono>

#include "bovila/core/error.h"
#include "tests/mpi/session.h"
#include "tests/nccl/double.h"

using namespace bovila;

namespace {

using Clock = std::chrono::steady_clock;

/// Host memory in the GPU's place.
NcclCommunicator nccl_over(MpiCommunicator& host) {
  reset_nccl_double();
  return NcclCommunicator(host, torch::kCPU, make_host_stream());
}

std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const ProgramError& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// The double's calls as one text.
std::string calls() {
  std::string text;
  for (const auto& call : nccl_double().calls) text += call + "\n";
  return text;
}

}  // namespace

TEST_CASE("sum, mean and max are MPI's in fp32, fp64 and int64") {
  auto host = all_ranks();
  auto nccl = nccl_over(host);
  torch::manual_seed(host.rank());
  for (const auto type : {torch::kFloat32, torch::kFloat64, torch::kInt64}) {
    for (const auto op : {ReduceOp::kSum, ReduceOp::kMean, ReduceOp::kMax}) {
      if (type == torch::kInt64 && op == ReduceOp::kMean) continue;
      CAPTURE(torch::toString(type));
      auto by_mpi = (torch::randn({1000}) * 100).to(type);
      auto by_nccl = by_mpi.clone();
      host.all_reduce(by_mpi, op);
      nccl.all_reduce(by_nccl, op);
      nccl.synchronize();
      CHECK(torch::equal(by_nccl, by_mpi));
    }
  }
  CHECK(nccl_double().violations.empty());
}

TEST_CASE("every rank's tensor can be the one that all get") {
  auto host = all_ranks();
  auto nccl = nccl_over(host);
  for (int root = 0; root < nccl.size(); ++root) {
    auto tensor = torch::full({4}, nccl.rank(), torch::kInt64);
    nccl.broadcast(tensor, root);
    nccl.synchronize();
    CHECK(torch::equal(tensor, torch::full({4}, root, torch::kInt64)));
  }
  CHECK(nccl_double().violations.empty());
}

TEST_CASE("what computes after a reduction sees its result, before the host has asked for it") {
  auto host = all_ranks();
  auto nccl = nccl_over(host);
  auto tensor = torch::full({4}, host.rank() + 1, torch::kInt64);
  nccl.all_reduce(tensor, ReduceOp::kMax);
  const auto doubled = tensor * 2;
  CHECK(torch::equal(doubled, torch::full({4}, 2 * host.size(), torch::kInt64)));
  nccl.synchronize();
}

TEST_CASE("all ranks make the same calls with the same sizes in the same order") {
  auto host = all_ranks();
  auto nccl = nccl_over(host);
  nccl_double().calls.clear();
  auto a = torch::ones({3}), b = torch::ones({2, 4});
  nccl.all_reduce(a, ReduceOp::kSum);
  nccl.broadcast(b, 0);
  nccl.all_reduce(b, ReduceOp::kMax);
  CHECK(calls() == "ncclAllReduce 3\nncclBroadcast 8\nncclAllReduce 8\n");
  for (const auto& theirs : nccl.all_gather(calls())) CHECK(theirs == calls());
  CHECK(nccl_double().violations.empty());
}

TEST_CASE("MPI's collectives wait until NCCL's have ended") {
  auto host = all_ranks();
  auto nccl = nccl_over(host);
  auto tensor = torch::ones({5});
  const auto with_work_in_flight = [&](const std::function<void()>& use_mpi) {
    nccl.all_reduce(tensor, ReduceOp::kMax);
    use_mpi();
    CHECK(nccl_double().violations.empty());
  };
  with_work_in_flight([&] { nccl.barrier(); });
  with_work_in_flight([&] { CHECK(nccl.all_gather("x").size() == size_t(nccl.size())); });
  with_work_in_flight([&] { CHECK(nccl.broadcast(std::string("y"), 0) == "y"); });
}

TEST_CASE("the watch over MPI sees a collective that does not wait") {
  auto host = all_ranks();
  if (host.size() == 1) return;
  auto nccl = nccl_over(host);
  auto tensor = torch::ones({5});
  nccl.all_reduce(tensor, ReduceOp::kMax);
  host.barrier();
  REQUIRE(nccl_double().violations.size() == 1);
  CHECK(nccl_double().violations.front() == "MPI_Ibarrier while NCCL is in flight");
}

TEST_CASE("a collective that a rank never joins ends within the limit, with rank, step and call") {
  auto host = all_ranks();
  auto nccl = nccl_over(host);
  nccl_double().patience_s = 0.1;
  nccl_double().skips_work = host.rank() == host.size() - 1;
  auto tensor = torch::ones({5});
  nccl.set_stage("step 7");
  nccl.all_reduce(tensor, ReduceOp::kSum);
  host.set_timeout(0.3);
  const auto start = Clock::now();
  const std::string message = error_of([&] { nccl.synchronize(); });
  const std::chrono::duration<double> taken = Clock::now() - start;
  CHECK(message == fmt::format("rank {} of {} (step 7) waited 0.3 s for the others in an "
                               "all-reduce of 5 Float; one of them has died or hangs",
                               host.rank(), host.size()));
  CHECK(taken.count() < 20);  // on a busy machine
  CHECK(contains(error_of([&] { nccl.all_reduce(tensor, ReduceOp::kSum); }),
                 "NCCL was aborted after an earlier error"));
  host.set_timeout(60);
  host.barrier();
  CHECK(nccl_double().violations.empty());
}

TEST_CASE("a call that NCCL refuses is an error with its reason and aborts the communicator") {
  auto host = all_ranks();
  auto nccl = nccl_over(host);
  nccl_double().failing_call = "ncclAllReduce";
  auto tensor = torch::ones({5});
  CHECK(error_of([&] { nccl.all_reduce(tensor, ReduceOp::kSum); }) ==
        fmt::format("rank {} of {}: NCCL failed in an all-reduce of 5 Float: unhandled system "
                    "error: said by the double",
                    host.rank(), host.size()));
  CHECK(contains(calls(), "ncclCommAbort"));
  host.barrier();
}

TEST_CASE("tensors that NCCL cannot take are refused before anything is sent") {
  auto host = all_ranks();
  auto nccl = nccl_over(host);
  nccl_double().calls.clear();
  auto strided = torch::zeros({4, 4}).t().narrow(0, 0, 2);
  auto bytes = torch::zeros({4}, torch::kUInt8);
  auto integers = torch::zeros({4}, torch::kInt64);
  CHECK(contains(error_of([&] { nccl.all_reduce(strided, ReduceOp::kSum); }), "contiguous"));
  CHECK(contains(error_of([&] { nccl.broadcast(strided, 0); }), "contiguous"));
  CHECK(contains(error_of([&] { nccl.all_reduce(bytes, ReduceOp::kSum); }),
                 "of type Byte cannot be sent over NCCL"));
  CHECK(contains(error_of([&] { nccl.all_reduce(integers, ReduceOp::kMean); }),
                 "the mean of a tensor of type Long is not defined"));
  CHECK(nccl_double().calls.empty());
  nccl.barrier();
}

TEST_CASE("a tensor on another device goes to MPI, which takes none that is not in host memory") {
  auto host = all_ranks();
  auto nccl = nccl_over(host);
  auto elsewhere = torch::zeros({4}, torch::kMeta);
  CHECK(contains(error_of([&] { nccl.all_reduce(elsewhere, ReduceOp::kSum); }),
                 "MPI takes tensors in host memory only, got one on meta"));
  CHECK(contains(error_of([&] { nccl.broadcast(elsewhere, 0); }), "in host memory only"));
}

TEST_CASE("who is who is MPI's, and a stage is told to it too") {
  auto host = all_ranks();
  auto nccl = nccl_over(host);
  CHECK(nccl.rank() == host.rank());
  CHECK(nccl.size() == host.size());
  nccl.set_stage("step 3");
  CHECK(nccl.who() == fmt::format("rank {} of {} (step 3)", host.rank(), host.size()));
  CHECK(host.who() == nccl.who());
}
