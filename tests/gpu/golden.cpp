// STAR's golden runs on a GPU: what the published code computed, in fp32 and in bf16.
#include <doctest/doctest.h>

#include "tests/golden/runs.h"
#include "tests/gpu/session.h"

TEST_CASE("in fp32 STAR's losses, gradients, parameters and answers are the published code's") {
  golden::check_runs("star", {*test_device, torch::kFloat32, golden::kFp32OnCuda});
}

TEST_CASE(
    "in bf16 STAR's losses, gradients, parameters and answers are near the published code's") {
  golden::check_runs("star", {*test_device, torch::kBFloat16, golden::kBf16});
}
