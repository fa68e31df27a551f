// STAR in bf16 on the CPU against the published code's fp32 numbers: what tests/gpu/golden.cpp
// allows on a GPU.
#include <doctest/doctest.h>

#include "tests/golden/group.h"
#include "tests/golden/runs.h"

TEST_CASE("STAR in bf16 stays near the published code's numbers") {
  golden::check_runs("star", {torch::kCPU, torch::kBFloat16, golden::kBf16, golden::group()});
}
