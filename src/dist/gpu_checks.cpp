// The cold side of CUDA_CHECK and NCCL_CHECK.
#include "bovila/dist/gpu_checks.h"

#include <sys/statvfs.h>

#include "bovila/core/error.h"

namespace bovila {

void check_cuda(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // or LibTorch's next check would report it again
  throw ProgramError("{} failed: {}", call, cudaGetErrorString(status));
}

void check_nccl(ncclResult_t status, const char* call) {
  if (status != ncclSuccess) throw ProgramError("{} failed: {}", call, nccl_reason(status));
}

std::string nccl_reason(ncclResult_t status) {
  const std::string detail = ncclGetLastError(nullptr);
  std::string reason = ncclGetErrorString(status);
  if (!detail.empty()) reason += ": " + detail;
  struct statvfs shared {};
  if (status == ncclSystemError && statvfs("/dev/shm", &shared) == 0) {
    reason += shared_memory_hint(uint64_t{shared.f_blocks} * shared.f_frsize);
  }
  return reason;
}

std::string shared_memory_hint(uint64_t size) {
  constexpr uint64_t kEnough = uint64_t{1} << 30;
  if (size >= kEnough) return "";
  return fmt::format(
      "; /dev/shm has {} MB, and NCCL keeps there what ranks of a node share: give a container "
      "more, as docker run --shm-size=1g or --ipc=host does",
      size >> 20);
}

std::string nccl_version() {
  int code = 0;
  NCCL_CHECK(ncclGetVersion(&code));
  return fmt::format("{}.{}.{}", code / 10000, code / 100 % 100, code % 100);
}

}  // namespace bovila
