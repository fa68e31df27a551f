// The real NCCL on a machine that shows no GPU: it makes an id, which all ranks get, and refuses to
// start, which all ranks say at once.
#include <doctest/doctest.h>

#include <chrono>
#include <optional>

#include "bovila/dist/agreement.h"
#include "bovila/dist/nccl_communicator.h"
#include "tests/mpi/session.h"

using namespace bovila;

namespace {

std::optional<AgreedError> nccl_error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const AgreedError& error) {
    return error;
  }
  return std::nullopt;
}

}  // namespace

TEST_CASE("without a GPU NCCL's start fails on every rank with its reason, within seconds") {
  auto ranks = all_ranks();
  const auto start = std::chrono::steady_clock::now();
  const auto error = nccl_error_of([&] { NcclHandle handle(ranks); });
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  REQUIRE(error);
  CHECK(error->code == ExitCode::kFailure);
  const std::string message = error->what();
  CAPTURE(message);
  CHECK(message.starts_with(fmt::format("rank 0 of {}: NCCL 2.", ranks.size())));
  CHECK(message.find("failed in starting NCCL (ncclCommInitRankConfig): ") != std::string::npos);
  CHECK(message.find("Cuda failure") != std::string::npos);  // NCCL's own words
  CHECK(taken.count() < 20);                                 // on a busy machine
  ranks.barrier();                                           // the ranks are still in step
}

TEST_CASE("a communicator for CUDA tensors fails with the same reason") {
  auto ranks = all_ranks();
  const auto error =
      nccl_error_of([&] { NcclCommunicator nccl(ranks, torch::Device(torch::kCUDA, 0)); });
  REQUIRE(error);
  CHECK(std::string(error->what()).find("Cuda failure") != std::string::npos);
  ranks.barrier();
}
