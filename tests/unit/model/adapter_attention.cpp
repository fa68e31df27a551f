// The hand-written backward pass against LibTorch's automatic differentiation.
#include "bovila/model/adapter_attention.h"

#include <doctest/doctest.h>

#include <limits>
#include <numeric>

#include "tests/unit/model/layouts.h"

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
  const auto ours = padded_attention(x[0], x[1], x[2], slots_of(problem), problem.scope);
  const auto plain = padded_attention_reference(x[0], x[1], x[2], slots_of(problem), problem.scope);
  CHECK(torch::allclose(ours, plain, 1e-5, 1e-6));
  const auto our_grads = gradients(problem, ours), plain_grads = gradients(problem, plain);
  for (size_t i = 0; i < x.size(); ++i) {
    CAPTURE(i);
    CHECK(torch::allclose(our_grads[i], plain_grads[i], 1e-4, 1e-5));
  }
}

}  // namespace

TEST_CASE("padded attention and all its gradients equal automatic differentiation") {
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
  const auto with = padded_attention(x[0], x[1], x[2], slots_of(problem), problem.scope);
  const auto without = padded_attention(x[0], x[1], x[2], {}, problem.scope);
  CHECK(torch::allclose(with, without, 1e-6, 1e-7));
}

TEST_CASE("ragged and padded attention agree, gradients too, with grouped heads and without") {
  const std::vector<std::vector<int32_t>> first = {{1, 2, 0, 7, 3, 4}, {1, 2, 0, 7, 5}};
  const std::vector<int32_t> second = {1, 2, 9, 0, 8};
  std::vector<SequenceTree> rows = {SequenceTree::shared(first, 4, 2),
                                    SequenceTree::chain(second, 3)};
  rows[0].want(1, 3, 2);
  rows[1].want(0, 1, 1);
  const auto pass = lay_out(rows, 1, torch::kCPU);
  const auto layouts = testing::layouts_of(rows, pass, 1);
  constexpr int64_t kHeads = 4;
  for (const int64_t groups : {4, 2, 1}) {
    for (const bool all : {true, false}) {
      for (const bool adapted : {true, false}) {
        torch::manual_seed(5);
        const auto& scope = all ? pass.every : pass.wanted;
        const int64_t T = pass.num_tokens(), asked = all ? T : pass.outputs.size(0);
        std::vector<int64_t> queries(static_cast<size_t>(asked));
        std::iota(queries.begin(), queries.end(), 0);
        if (!all)
          queries.assign(pass.outputs.data_ptr<int64_t>(),
                         pass.outputs.data_ptr<int64_t>() + asked);
        Problem problem;
        for (const auto& shape : std::vector<std::vector<int64_t>>{{asked, kHeads, d},
                                                                   {T, groups, d},
                                                                   {T, groups, d},
                                                                   {kHeads, A, d},
                                                                   {kHeads, A, d},
                                                                   {kHeads},
                                                                   {kHeads}}) {
          problem.leaves.push_back(torch::randn(shape).requires_grad_(true));
        }
        if (!adapted) problem.leaves.resize(3);
        const auto& x = problem.leaves;
        const auto ragged = adapter_attention(x[0], x[1], x[2], slots_of(problem), scope);
        const auto padded =
            adapter_attention(x[0], x[1], x[2], slots_of(problem),
                              padded_scope(layouts, pass.num_shared, queries, torch::kCPU));
        CHECK(torch::allclose(ragged, padded, 1e-5, 1e-6));
        const auto a = gradients(problem, ragged), b = gradients(problem, padded);
        for (size_t i = 0; i < a.size(); ++i) {
          CAPTURE(i);
          CHECK(torch::allclose(a[i], b[i], 1e-4, 1e-5));
        }
      }
    }
  }
}
