// The kernel's high-water mark and the caching allocator's counters.
#include "bovila/dist/memory_use.h"

#include <c10/cuda/CUDACachingAllocator.h>
#include <fmt/format.h>
#include <sys/resource.h>

namespace bovila {
namespace {

double gigabytes(int64_t bytes) {
  return static_cast<double>(bytes) / 1e9;
}

std::string host_text() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return fmt::format("host {:.2f} GB peak", gigabytes(usage.ru_maxrss * 1024));  // it is in KiB
}

}  // namespace

std::string memory_text(torch::Device device) {
  if (!device.is_cuda()) return host_text();
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device.index());
  const auto& allocated = stats.allocated_bytes[0];  // the first is the sum over all pools
  return fmt::format("{} {:.2f} GB allocated (peak {:.2f}), {:.2f} GB reserved, {}", device.str(),
                     gigabytes(allocated.current), gigabytes(allocated.peak),
                     gigabytes(stats.reserved_bytes[0].current), host_text());
}

}  // namespace bovila
