// The same bits from the same run: what LibTorch, cuBLAS and NCCL have to be told.
// Fed by run.deterministic; main calls it before anything touches a GPU.
#pragma once

namespace bovila {

/// LibTorch takes deterministic algorithms only and throws where it has none; cuBLAS gets a fixed
/// workspace (CUBLAS_WORKSPACE_CONFIG) and NCCL one algorithm and protocol (NCCL_ALGO, NCCL_PROTO)
/// instead of the one that it finds fastest. What the environment sets already stays. Has to come
/// before the process's first CUDA or NCCL call, which read the environment once.
void make_deterministic();

}  // namespace bovila
