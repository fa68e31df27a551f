// LibTorch's global context and the environment of this process.
#include "bovila/dist/determinism.h"

#include <cstdlib>

#include "bovila/dist/libtorch.h"

namespace bovila {

void make_deterministic() {
  auto& context = torch::globalContext();
  context.setDeterministicAlgorithms(true, /*warn_only=*/false);
  context.setDeterministicCuDNN(true);
  context.setBenchmarkCuDNN(false);
  constexpr int kKeep = 0;
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", kKeep);
  setenv("NCCL_ALGO", "Ring", kKeep);
  setenv("NCCL_PROTO", "Simple", kKeep);
}

}  // namespace bovila
