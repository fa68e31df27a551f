// LibTorch's global context and the environment of this process.
#include "bovila/dist/determinism.h"

#include <cstdlib>
#include <utility>

#include "bovila/dist/libtorch.h"

namespace bovila {

void make_deterministic() {
  auto& context = torch::globalContext();
  context.setDeterministicAlgorithms(true, /*warn_only=*/false);
  context.setDeterministicCuDNN(true);
  context.setBenchmarkCuDNN(false);
  constexpr int kKeep = 0;
  constexpr std::pair<const char*, const char*> kVariables[] = {
      {"CUBLAS_WORKSPACE_CONFIG", ":4096:8"}, {"NCCL_ALGO", "Ring"}, {"NCCL_PROTO", "Simple"}};
  for (const auto& [name, value] : kVariables) {
    setenv(name, value, kKeep);  // NOLINT(concurrency-mt-unsafe): no thread yet reads variables
  }
}

}  // namespace bovila
