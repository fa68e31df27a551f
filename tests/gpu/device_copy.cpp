// Copies to a real GPU: beside what it computes, before what computes with them, no wait on the
// host.
#include "bovila/model/device_copy.h"

#include <ATen/cuda/Sleep.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <doctest/doctest.h>

#include <chrono>
#include <thread>

#include "tests/gpu/session.h"

using namespace bovila;

namespace {

constexpr int64_t kLongSleep = 1'000'000'000;  // GPU cycles: half a second

}  // namespace

TEST_CASE("what computes with a copy waits for it, as often as memory is used again") {
  for (int round = 0; round < 100; ++round) {
    const auto host = torch::full({1 << 20}, round, torch::kFloat32);
    const auto copy = copy_to(host, *test_device);
    CHECK(torch::equal((copy + 1).cpu(), host + 1));
  }
}

TEST_CASE("a copy ends while the GPU still computes") {
  copy_to(torch::zeros({1000}), *test_device);  // the first one makes stream and memory
  const auto compute = c10::cuda::getCurrentCUDAStream(test_device->index());
  at::cuda::sleep(kLongSleep);
  const auto copy = copy_to(torch::ones({1000}), *test_device);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const c10::cuda::CUDAStreamGuard other(
      c10::cuda::getStreamFromPool(/*isHighPriority=*/true, test_device->index()));
  CHECK(torch::equal(copy.cpu(), torch::ones({1000})));
  CHECK_FALSE(compute.query());
}
