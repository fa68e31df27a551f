// What a deterministic run sets, and that a user's own choice stays.
#include "bovila/dist/determinism.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "bovila/dist/libtorch.h"

using namespace bovila;

TEST_CASE("LibTorch, cuBLAS and NCCL are told, except where the environment says otherwise") {
  for (const char* name : {"CUBLAS_WORKSPACE_CONFIG", "NCCL_PROTO"}) unsetenv(name);
  setenv("NCCL_ALGO", "Tree", 1);
  auto& context = torch::globalContext();
  REQUIRE_FALSE(context.deterministicAlgorithms());
  make_deterministic();
  CHECK(context.deterministicAlgorithms());
  CHECK_FALSE(context.deterministicAlgorithmsWarnOnly());
  CHECK(context.deterministicCuDNN());
  CHECK_FALSE(context.benchmarkCuDNN());
  CHECK(std::string(std::getenv("CUBLAS_WORKSPACE_CONFIG")) == ":4096:8");
  CHECK(std::string(std::getenv("NCCL_ALGO")) == "Tree");
  CHECK(std::string(std::getenv("NCCL_PROTO")) == "Simple");
  context.setDeterministicAlgorithms(false, false);  // as the other tests expect it
  context.setDeterministicCuDNN(false);
}
