// STAR's golden runs on a GPU: what the published code computed, in fp32 and in bf16.
#include <doctest/doctest.h>

#include "bovila/dist/nccl_communicator.h"
#include "tests/golden/runs.h"
#include "tests/gpu/session.h"

TEST_CASE("in fp32 STAR's losses, gradients, parameters and answers are the published code's") {
  golden::check_runs("star", {*test_device, torch::kFloat32, golden::kFp32OnCuda});
}

TEST_CASE("two ranks hold STAR's model together, each its part on a GPU of its own") {
  auto host = all_ranks();
  if (host.size() != 2) return;
  bovila::NcclCommunicator group(host, *test_device);
  golden::check_runs("star", {*test_device, torch::kFloat32, golden::kFp32OnCuda, &group});
}

TEST_CASE(
    "in bf16 STAR's losses, gradients, parameters and answers are near the published code's") {
  golden::check_runs("star", {*test_device, torch::kBFloat16, golden::kBf16});
}
