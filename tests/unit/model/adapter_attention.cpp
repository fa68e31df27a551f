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

namespace {

struct Shape {
  int64_t heads, groups, width;
};

/// Leaves for the queries `asked` of a pass of T tokens.
Problem make_ragged(int64_t asked, int64_t T, const Shape& shape, bool adapted) {
  torch::manual_seed(5);
  const auto [heads, groups, width] = shape;
  Problem problem;
  for (const auto& sizes : std::vector<std::vector<int64_t>>{{asked, heads, width},
                                                             {T, groups, width},
                                                             {T, groups, width},
                                                             {heads, A, width},
                                                             {heads, A, width},
                                                             {heads},
                                                             {heads}}) {
    problem.leaves.push_back(torch::randn(sizes).requires_grad_(true));
  }
  if (!adapted) problem.leaves.resize(3);
  return problem;
}

std::vector<int64_t> queries_of(const Sequences& pass, bool all) {
  std::vector<int64_t> queries(static_cast<size_t>(pass.num_tokens()));
  std::iota(queries.begin(), queries.end(), 0);
  if (all) return queries;
  const int64_t* wanted = pass.outputs.data_ptr<int64_t>();
  return {wanted, wanted + pass.outputs.size(0)};
}

/// Ragged attention equals padded attention, and so do all gradients.
void agree(const std::vector<SequenceTree>& rows, const Shape& shape, bool all, bool adapted) {
  const auto pass = lay_out(rows, 1, torch::kCPU);
  const auto layouts = testing::layouts_of(rows, pass, 1);
  const auto queries = queries_of(pass, all);
  const auto problem = make_ragged(std::ssize(queries), pass.num_tokens(), shape, adapted);
  const auto& x = problem.leaves;
  const auto ragged =
      adapter_attention(x[0], x[1], x[2], slots_of(problem), all ? pass.every : pass.wanted);
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

std::vector<SequenceTree> short_rows() {
  const std::vector<std::vector<int32_t>> first = {{1, 2, 0, 7, 3, 4}, {1, 2, 0, 7, 5}};
  const std::vector<int32_t> second = {1, 2, 9, 0, 8};
  std::vector<SequenceTree> rows = {SequenceTree::shared(first, 4, 2),
                                    SequenceTree::chain(second, 3)};
  rows[0].want(1, 3, 2);
  rows[1].want(0, 1, 1);
  return rows;
}

/// Longer than the kernel's block of queries.
std::vector<SequenceTree> long_rows() {
  std::vector<int32_t> first(150), second(71);
  std::iota(first.begin(), first.end(), 1);
  std::iota(second.begin(), second.end(), 1);
  std::vector<SequenceTree> rows = {SequenceTree::chain(first, 20), SequenceTree::chain(second, 3)};
  rows[0].want(0, 5, 100);
  rows[1].want(0, 1, 1);
  return rows;
}

}  // namespace

TEST_CASE("ragged and padded attention agree, gradients too, with grouped heads and without") {
  for (const int64_t groups : {4, 2, 1}) {
    for (const bool all : {true, false}) {
      for (const bool adapted : {true, false}) agree(short_rows(), {4, groups, d}, all, adapted);
    }
  }
}

TEST_CASE("ragged attention of long rows and of all widths agrees with padded attention") {
  for (const int64_t width : {16, 20, 32, 64}) {
    CAPTURE(width);
    for (const bool all : {true, false}) agree(long_rows(), {2, 2, width}, all, true);
  }
}

TEST_CASE("ragged attention in bf16 is that in fp32, rounded") {
  const auto pass = lay_out(long_rows(), 1, torch::kCPU);
  const auto problem = make_ragged(pass.num_tokens(), pass.num_tokens(), {4, 2, 16}, true);
  const auto attention = [&](torch::ScalarType type) {
    const auto& x = problem.leaves;
    const AdapterSlots slots{x[3].to(type), x[4].to(type), x[5], x[6]};
    return adapter_attention(x[0].to(type), x[1].to(type), x[2].to(type), slots, pass.every)
        .to(torch::kFloat32);
  };
  const auto wide = attention(torch::kFloat32), narrow = attention(torch::kBFloat16);
  CHECK(torch::allclose(wide, narrow, 0.03, 0.03));
  const auto a = gradients(problem, wide), b = gradients(problem, narrow);
  for (size_t i = 0; i < a.size(); ++i) {
    CAPTURE(i);
    CHECK((a[i] - b[i]).norm().item<float>() < 0.03F * a[i].norm().item<float>());
  }
}

TEST_CASE("a value that is not finite reaches the output of ragged attention") {
  const auto pass = lay_out(short_rows(), 1, torch::kCPU);
  const torch::NoGradGuard no_grad;
  for (const size_t leaf : {0, 1, 2}) {
    const auto problem = make_ragged(pass.num_tokens(), pass.num_tokens(), {2, 2, d}, false);
    const auto& x = problem.leaves;
    x[leaf].fill_(std::numeric_limits<float>::quiet_NaN());
    CHECK(adapter_attention(x[0], x[1], x[2], {}, pass.every).isnan().all().item<bool>());
  }
}
