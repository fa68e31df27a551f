// Products with frozen matrices against LibTorch's own.
#include "bovila/model/frozen_linear.h"

#include <doctest/doctest.h>
#include <torch/autograd.h>

#include "tests/unit/model/tiny_llama.h"

using namespace bovila;
using torch::Tensor;

namespace {

void check_product(const Tensor& weight, double tolerance) {
  const auto type = weight.scalar_type();
  const auto x = torch::randn({2, 5, weight.size(1)}).to(type).requires_grad_(true);
  const auto gradient = [&](const Tensor& out) {
    torch::manual_seed(8);
    return torch::autograd::grad({out}, {x}, {torch::randn(out.sizes()).to(type)}).at(0);
  };
  const auto got = frozen_linear(x, weight), expected = torch::linear(x, weight);
  CHECK((got.scalar_type() == type));
  CHECK(torch::allclose(got, expected, tolerance, tolerance));
  CHECK(torch::allclose(gradient(got), gradient(expected), tolerance, tolerance));
}

}  // namespace

TEST_CASE("products and their gradients equal torch::linear's in fp32 and bf16") {
  torch::manual_seed(7);
  const auto weight = torch::randn({6, 4});
  check_product(weight, 1e-5);
  check_product(weight.to(torch::kBFloat16), 1e-2);
}

TEST_CASE("rows of a matrix multiply like a matrix of their own") {
  torch::manual_seed(7);
  check_product(torch::randn({6, 4}).narrow(0, 2, 3), 1e-5);
}

TEST_CASE("no graph is kept for an input that needs none, nor a gradient of the matrix") {
  const auto weight = torch::randn({6, 4});
  CHECK_FALSE(frozen_linear(torch::randn({3, 4}), weight).requires_grad());
  CHECK_FALSE(weight.requires_grad());
}

TEST_CASE("a product in several panels can be changed in place, as the rotation does it") {
  const FrozenMatrix matrix(torch::randn({1536, 1024}).to(torch::kBFloat16));
  const auto x = torch::randn({5, 1024}).requires_grad_(true);
  auto out = frozen_linear(x, matrix);
  CHECK_FALSE(out.is_view());
  CHECK_NOTHROW(out.mul_(2));
}

namespace {

/// `matrix` against its numbers as a matrix of their own, forward and backward.
void check_expanded(const FrozenMatrix& matrix, torch::ScalarType type, double tolerance) {
  const auto numbers = matrix.expanded(type);
  const auto x = torch::randn({2, 5, matrix.columns()}).to(type).requires_grad_(true);
  const auto grad = torch::randn({2, 5, matrix.rows()}).to(type);
  const auto gradient = [&](const Tensor& out) {
    return torch::autograd::grad({out}, {x}, {grad}).at(0);
  };
  const auto got = frozen_linear(x, matrix), expected = frozen_linear(x, numbers);
  CHECK(torch::allclose(got, expected, tolerance, tolerance));
  CHECK(torch::allclose(gradient(got), gradient(expected), tolerance, tolerance));
}

}  // namespace

TEST_CASE("a matrix that is stored smaller multiplies like its numbers, in one panel or many") {
  const auto params = testing::block_params();
  for (const WeightForm form : testing::kSmallForms) {
    CAPTURE(int(form));
    const auto weights =
        testing::weights_of(params, testing::meta_tensors(params), {torch::kFloat32, form});
    for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
      const double tolerance = type == torch::kFloat32 ? 1e-5 : 5e-2;
      check_expanded(weights.layers[1].w2, type, tolerance);
      check_expanded(weights.layers[1].wkv(), type, tolerance);
    }
  }
  // 1.5 panels of rows, and of columns.
  check_expanded(torch::randn({1536, 1024}).to(torch::kBFloat16), torch::kFloat32, 1e-3);
  check_expanded(torch::randn({1024, 1536}).to(torch::kFloat16), torch::kFloat32, 1e-3);
}
