// What a failed CUDA or NCCL call says.
#include "bovila/dist/gpu_checks.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
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

// tests/cli/containers.sh runs it where /dev/shm is as small as Docker's.
TEST_CASE("NCCL's error of the system names a small /dev/shm and what makes it larger") {
  constexpr uint64_t kMegabyte = 1 << 20;
  CHECK(shared_memory_hint(64 * kMegabyte).starts_with("; /dev/shm has 64 MB, and NCCL"));
  CHECK(
      shared_memory_hint(64 * kMegabyte).ends_with("docker run --shm-size=1g or --ipc=host does"));
  CHECK(shared_memory_hint(1024 * kMegabyte).empty());
  const auto here = std::filesystem::space("/dev/shm").capacity;
  const bool is_small = nccl_reason(ncclSystemError).ends_with("--ipc=host does");
  CHECK(is_small == (here < 1024 * kMegabyte));
  CHECK(nccl_reason(ncclInvalidUsage).find("/dev/shm") == std::string::npos);
}

TEST_CASE("NCCL's version is that of the library, of the header's major release") {
  CHECK(nccl_version().starts_with(fmt::format("{}.", NCCL_MAJOR)));
  CHECK(std::ranges::count(nccl_version(), '.') == 2);
}
