// The cold side of CUDA_CHECK and NCCL_CHECK.
#include "bovila/dist/gpu_checks.h"

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
  const char* name = ncclGetErrorString(status);
  return detail.empty() ? name : fmt::format("{}: {}", name, detail);
}

std::string nccl_version() {
  int code = 0;
  NCCL_CHECK(ncclGetVersion(&code));
  return fmt::format("{}.{}.{}", code / 10000, code / 100 % 100, code % 100);
}

}  // namespace bovila
