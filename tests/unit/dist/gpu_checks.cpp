// What a failed CUDA or NCCL call says.
#include "bovila/dist/gpu_checks.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

#include "bovila/core/error.h"

using namespace bovila;

namespace {

std::string gpu_checks_error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const ProgramError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a failed CUDA call gives its own text and CUDA's words, a good one nothing") {
  const auto allocate = [](cudaError_t status) { return status; };
  CHECK(gpu_checks_error_of([&] { CUDA_CHECK(allocate(cudaErrorMemoryAllocation)); }) ==
        "allocate(cudaErrorMemoryAllocation) failed: out of memory");
  CHECK(gpu_checks_error_of([&] { CUDA_CHECK(allocate(cudaSuccess)); }).empty());
}

TEST_CASE("a failed NCCL call gives its own text and NCCL's words, a good one nothing") {
  const auto start = [](ncclResult_t status) { return status; };
  CHECK(gpu_checks_error_of([&] {
          NCCL_CHECK(start(ncclInvalidUsage));
        }).starts_with("start(ncclInvalidUsage) failed: invalid usage"));
  CHECK(gpu_checks_error_of([&] { NCCL_CHECK(start(ncclSuccess)); }).empty());
}

TEST_CASE("NCCL's version is that of the library, of the header's major release") {
  CHECK(nccl_version().starts_with(fmt::format("{}.", NCCL_MAJOR)));
  CHECK(std::ranges::count(nccl_version(), '.') == 2);
}
