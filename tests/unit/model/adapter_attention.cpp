// The hand-written backward pass against LibTorch's automatic differentiation.
#include "bovila/model/adapter_attention.h"

#include <doctest/doctest.h>

#include <limits>

using namespace bovila;
using torch::Tensor;

namespace {

constexpr int64_t B = 2, H = 3, Q = 5, S = 7, A = 4, d = 6;

struct Problem {
  std::vector<Tensor> leaves;  // q, k, v, key, value, gate1, gate2
  AttentionScope scope;
};

Problem make_problem(bool with_adapter) {
  torch::manual_seed(1);
  Problem problem;
  for (const auto& shape : std::vector<std::vector<int64_t>>{
           {B, H, Q, d}, {B, H, S, d}, {B, H, S, d}, {H, A, d}, {H, A, d}, {H}, {H}}) {
    problem.leaves.push_back(torch::randn(shape).requires_grad_(true));
  }
  if (!with_adapter) problem.leaves.resize(3);
  const auto allowed = torch::ones({Q, S}, torch::kBool).tril(S - Q);
  problem.scope.mask =
      torch::zeros({B, 1, Q, S}).masked_fill(~allowed, -std::numeric_limits<float>::infinity());
  problem.scope.after_video = torch::zeros({B, 1, Q, S});
  problem.scope.after_video.slice(2, 2).slice(3, 1, 3).fill_(1);
  return problem;
}

AdapterSlots slots_of(const Problem& problem) {
  if (problem.leaves.size() == 3) return {};
  return {problem.leaves[3], problem.leaves[4], problem.leaves[5], problem.leaves[6]};
}

std::vector<Tensor> gradients(const Problem& problem, const Tensor& out) {
  torch::manual_seed(2);
  std::vector<Tensor> grads;
  for (const Tensor& leaf : problem.leaves) leaf.mutable_grad() = Tensor();
  (out * torch::randn_like(out)).sum().backward();
  for (const Tensor& leaf : problem.leaves) grads.push_back(leaf.grad().clone());
  return grads;
}

void compare(bool with_adapter) {
  const Problem problem = make_problem(with_adapter);
  const auto& x = problem.leaves;
  const auto ours = adapter_attention(x[0], x[1], x[2], slots_of(problem), problem.scope);
  const auto plain =
      adapter_attention_reference(x[0], x[1], x[2], slots_of(problem), problem.scope);
  CHECK(torch::allclose(ours, plain, 1e-5, 1e-6));
  const auto our_grads = gradients(problem, ours), plain_grads = gradients(problem, plain);
  for (size_t i = 0; i < x.size(); ++i) {
    CAPTURE(i);
    CHECK(torch::allclose(our_grads[i], plain_grads[i], 1e-4, 1e-5));
  }
}

}  // namespace

TEST_CASE("adapter attention and all its gradients equal automatic differentiation") {
  compare(/*with_adapter=*/true);
}

TEST_CASE("attention of a layer without adapter equals automatic differentiation") {
  compare(/*with_adapter=*/false);
}

TEST_CASE("a closed gate leaves the text attention alone") {
  Problem problem = make_problem(true);
  const torch::NoGradGuard no_grad;
  problem.leaves[5].zero_();
  problem.leaves[6].zero_();
  const auto& x = problem.leaves;
  const auto with = adapter_attention(x[0], x[1], x[2], slots_of(problem), problem.scope);
  const auto without = adapter_attention(x[0], x[1], x[2], {}, problem.scope);
  CHECK(torch::allclose(with, without, 1e-6, 1e-7));
}
