// The evidential losses against SPEC 5 written out, values and gradients.
#include "bovila/objective/evidence.h"

#include <doctest/doctest.h>
#include <torch/autograd.h>

#include <cmath>

using namespace bovila;
using torch::Tensor;

namespace {

constexpr int64_t N = 4, V = 9;

struct Plain {
  Tensor mse, reg, u;
};

/// SPEC 5 line by line, in double precision.
Plain plain(const Tensor& z, const Tensor& weight, const Tensor& bias, const Tensor& labels) {
  const auto e = torch::softmax(z, -1);
  const auto q = torch::sigmoid(torch::linear(z, weight, bias));
  const auto T = q / (1 - q);
  const auto y = torch::one_hot(labels, V).to(z.dtype());
  const double classes = V;
  const auto p = (e * T + 1 / classes) / (1 + T);
  const auto mse =
      (y - p).square().sum(1) + 1 / classes * (p * (1 - p) / ((1 + T) + 1 / classes)).sum(1);
  const auto a = e * T * classes + 1;
  const auto a2 = y + (1 - y) * a;
  const auto total = T * classes + classes;
  const auto own = torch::lgamma(total).squeeze(1) - std::lgamma(classes) -
                   torch::lgamma(a2).sum(1) + ((a2 - 1) * torch::digamma(a2)).sum(1);
  auto reg = own.mean();
  for (int64_t i = 0; i < N; ++i) {  // every pair of tokens, as published
    for (int64_t j = 0; j < N; ++j) {
      reg = reg - ((a2[i] - 1) * torch::digamma(total[j])).sum() / static_cast<double>(N * N);
    }
  }
  return {mse, reg, (1 / (1 + T)).squeeze(1)};
}

struct Case {
  Tensor z = torch::randn({N, V}, torch::kFloat64).requires_grad_(true);
  Tensor weight = torch::randn({1, V}, torch::kFloat64).requires_grad_(true);
  Tensor bias = torch::randn({1}, torch::kFloat64).requires_grad_(true);
  Tensor labels = torch::tensor({1, 0, 8, 4}, torch::kInt64);
};

}  // namespace

TEST_CASE("losses, uncertainty and all gradients are those of the definition") {
  torch::manual_seed(4);
  const Case c;
  const auto evidence = make_evidence(c.z, {c.weight, c.bias});
  const auto expected = plain(c.z, c.weight, c.bias, c.labels);
  const auto mse = evidential_mse(evidence, c.labels);
  const auto reg = evidential_regulariser(evidence, c.labels);
  CHECK(torch::allclose(mse, expected.mse, 1e-9));
  CHECK(torch::allclose(reg, expected.reg, 1e-9));
  CHECK(torch::allclose(evidence.uncertainty_N, expected.u, 1e-9));
  const auto gradients = [&](const Tensor& loss) {
    return torch::autograd::grad({loss.sum()}, {c.z, c.weight, c.bias}, {}, true);
  };
  for (const auto& [ours, theirs] : {std::pair{mse, expected.mse}, std::pair{reg, expected.reg}}) {
    const auto a = gradients(ours), b = gradients(theirs);
    for (size_t i = 0; i < a.size(); ++i) CHECK(torch::allclose(a[i], b[i], 1e-7));
  }
}

TEST_CASE("a very large evidence stays finite") {
  const auto z = torch::zeros({1, V}).requires_grad_(true);
  const auto evidence = make_evidence(z, {torch::zeros({1, V}), torch::full({1}, 60.0)});
  const auto loss = evidential_mse(evidence, torch::tensor({2}, torch::kInt64)).sum();
  loss.backward();
  CHECK(std::isfinite(loss.item<double>()));
  CHECK(z.grad().isfinite().all().item<bool>());
}

TEST_CASE("the softmax's uncertainty is 1 minus the largest probability, as its gradient is") {
  torch::manual_seed(4);
  const auto z = torch::randn({N, V}, torch::kFloat64).requires_grad_(true);
  const auto evidence = make_evidence(z, {});
  const auto largest = std::get<0>(torch::softmax(z, -1).max(-1));
  CHECK(torch::allclose(evidence.uncertainty_N, 1 - largest, 1e-9));
  CHECK(torch::allclose(evidence.log_total_N, torch::log(largest / (1 - largest)), 1e-9));
  CHECK(torch::equal(uncertainty_of(z, {}), evidence.uncertainty_N));
  const auto weights = torch::arange(1, N + 1);
  const auto ours = torch::autograd::grad({(evidence.uncertainty_N * weights).sum()}, {z});
  const auto expected = torch::autograd::grad({((1 - largest) * weights).sum()}, {z});
  CHECK(torch::allclose(ours[0], expected[0], 1e-9));
}

TEST_CASE(
    "a softmax with all its weight on one token gives a small uncertainty, and finite losses") {
  const auto z = (torch::one_hot(torch::tensor({3}), V) * 60).to(torch::kFloat32);
  const auto logits = z.requires_grad_(true);
  const auto evidence = make_evidence(logits, {});
  CHECK(evidence.uncertainty_N.item<double>() > 0);
  CHECK(evidence.uncertainty_N.item<double>() < 1e-20);
  const auto loss = evidential_mse(evidence, torch::tensor({2}, torch::kInt64)).sum();
  loss.backward();
  CHECK(std::isfinite(loss.item<double>()));
  CHECK(logits.grad().isfinite().all().item<bool>());
}
