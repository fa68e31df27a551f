// CUDA's and NCCL's status codes as errors that say which call failed and why.
// Used by the parts of dist/ that call the CUDA runtime or NCCL themselves.
#pragma once

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstdint>
#include <string>

namespace bovila {

/// Throws ProgramError with the library's own words and the call's text when a call fails.
#define CUDA_CHECK(call) ::bovila::check_cuda((call), #call)
#define NCCL_CHECK(call) ::bovila::check_nccl((call), #call)
void check_cuda(cudaError_t status, const char* call);
void check_nccl(ncclResult_t status, const char* call);

/// NCCL's name for a status and, when it left one, its last message in this process. For an error
/// of the system with what to do about a small /dev/shm.
std::string nccl_reason(ncclResult_t status);

/// "; /dev/shm has 64 MB, ...: ..." for the size in bytes that Docker gives, "" for one that is
/// enough for the ranks of a node.
std::string shared_memory_hint(uint64_t size);

/// "2.28.9": the NCCL library that runs, which may differ from the header's.
std::string nccl_version();

}  // namespace bovila
