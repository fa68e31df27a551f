// Products with frozen matrices against LibTorch's own, with and without the transposed copy.
#include "bovila/model/frozen_linear.h"

#include <doctest/doctest.h>

using namespace bovila;
using torch::Tensor;

namespace {

void check_product(const FrozenMatrix& matrix, torch::ScalarType type, double tolerance) {
  const auto x = torch::randn({2, 5, matrix.weight.size(1)}).to(type).requires_grad_(true);
  const auto gradient = [&](const Tensor& out) {
    torch::manual_seed(8);
    return torch::autograd::grad({out}, {x}, {torch::randn(out.sizes()).to(type)}).at(0);
  };
  const auto got = frozen_linear(x, matrix), expected = torch::linear(x, matrix.weight);
  CHECK((got.scalar_type() == type));
  CHECK(torch::allclose(got, expected, tolerance, tolerance));
  CHECK(torch::allclose(gradient(got), gradient(expected), tolerance, tolerance));
}

}  // namespace

TEST_CASE("products and their gradients equal torch::linear's in fp32 and bf16") {
  torch::manual_seed(7);
  const auto weight = torch::randn({6, 4});
  check_product({weight, {}}, torch::kFloat32, 1e-5);
  check_product({weight, weight.t().contiguous()}, torch::kFloat32, 1e-5);
  check_product({weight.to(torch::kBFloat16), {}}, torch::kBFloat16, 1e-2);
}

TEST_CASE("rows of a matrix are a matrix of their own") {
  torch::manual_seed(7);
  const auto weight = torch::randn({6, 4});
  const FrozenMatrix matrix{weight, weight.t().contiguous()};
  const FrozenMatrix part = matrix.rows(2, 3);
  CHECK(torch::equal(part.weight, weight.slice(0, 2, 5)));
  check_product(part, torch::kFloat32, 1e-5);
}

TEST_CASE("no graph is kept for an input that needs none") {
  const FrozenMatrix matrix{torch::randn({6, 4}), {}};
  CHECK_FALSE(frozen_linear(torch::randn({3, 4}), matrix).requires_grad());
  CHECK_FALSE(matrix.weight.requires_grad());
}
