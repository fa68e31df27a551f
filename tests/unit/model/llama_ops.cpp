// The hand-written nodes against plain expressions, values and gradients.
#include "bovila/model/llama_ops.h"

#include <doctest/doctest.h>

#include <limits>

#include "bovila/model/rotary.h"

using namespace bovila;
using torch::Tensor;

namespace {

void llama_ops_compare(const Tensor& leaf, const std::function<Tensor()>& ours,
                       const std::function<Tensor()>& plain) {
  const auto gradient = [&](const Tensor& out) {
    torch::manual_seed(3);
    leaf.mutable_grad() = Tensor();
    (out * torch::randn_like(out)).sum().backward();
    return leaf.grad().clone();
  };
  const auto a = ours(), b = plain();
  CHECK(torch::allclose(a, b, 1e-5, 1e-6));
  CHECK(torch::allclose(gradient(a), gradient(b), 1e-4, 1e-6));
}

}  // namespace

// Widths below, of and between multiples of the CPU kernels' sixteen lanes.
constexpr int64_t kWidths[] = {8, 16, 37, 96};

TEST_CASE("RMSNorm equals its definition, gradient too") {
  torch::manual_seed(1);
  for (const int64_t width : kWidths) {
    const auto x = torch::randn({2, 3, width}).requires_grad_(true);
    const auto weight = torch::randn({width});
    llama_ops_compare(
        x, [&] { return rms_norm(x, weight, 1e-5); },
        [&] { return x * torch::rsqrt(x.square().mean(-1, true) + 1e-5) * weight; });
  }
}

TEST_CASE("SwiGLU equals silu(a) * b, gradient too") {
  torch::manual_seed(1);
  for (const int64_t width : kWidths) {
    const auto x = torch::randn({2, 3, 2 * width}).requires_grad_(true);
    llama_ops_compare(
        x, [&] { return swiglu(x); },
        [&] {
          const auto halves = x.chunk(2, -1);
          return torch::silu(halves[0]) * halves[1];
        });
  }
}

TEST_CASE("SwiGLU of gates of all sizes is LibTorch's, to four units in the last place") {
  const auto gate = torch::linspace(-120, 120, 100001), up = torch::ones_like(gate);
  const auto ours = swiglu(torch::stack({gate, up}, 1)).flatten(), theirs = torch::silu(gate);
  CHECK(torch::allclose(ours, theirs, 5e-7, 1e-35));
}

TEST_CASE("what is not finite goes through RMSNorm and SwiGLU") {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    auto x = torch::ones({1, 8});
    x[0][5] = bad;
    CHECK_FALSE(rms_norm(x, torch::ones({8}), 1e-5).isfinite().all().item<bool>());
    CHECK_FALSE(swiglu(x).isfinite().all().item<bool>());
    CHECK_FALSE(swiglu(x.flip(1)).isfinite().all().item<bool>());
  }
}

TEST_CASE("RMSNorm and SwiGLU in bf16 are those in fp32, rounded") {
  torch::manual_seed(1);
  const auto x = torch::randn({3, 32}).to(torch::kBFloat16), wide = x.to(torch::kFloat32);
  const auto weight = torch::randn({32}).to(torch::kBFloat16);
  const auto near = [](const Tensor& narrow, const Tensor& exact) {
    CHECK((narrow.scalar_type() == torch::kBFloat16));
    CHECK(torch::allclose(narrow.to(torch::kFloat32), exact, 0.02, 0.02));
  };
  near(rms_norm(x, weight, 1e-5), rms_norm(wide, weight.to(torch::kFloat32), 1e-5));
  near(swiglu(x), swiglu(wide));
}

TEST_CASE("rotary embedding turns interleaved pairs by position over theta^(2j/d)") {
  const auto positions = torch::tensor({0, 5}, torch::kInt64);
  const auto x = torch::tensor({1.0F, 0.0F, 0.0F, 1.0F, 9.0F, 8.0F}).repeat({2, 1});
  const auto y = rotate(x.clone(), rotary_turns(positions, 4, 10000), 1);
  CHECK(torch::equal(y[0], x[0]));
  const double fast = 5.0, slow = 5.0 / 100;  // theta^(-2/4) = 1/100
  const auto expected = torch::tensor(
      {std::cos(fast), std::sin(fast), -std::sin(slow), std::cos(slow), 9.0, 8.0}, torch::kFloat32);
  CHECK(torch::allclose(y[1], expected, 1e-5, 1e-6));
}

TEST_CASE("heads of all widths are turned as complex numbers") {
  torch::manual_seed(1);
  for (const int64_t width : {6, 16, 20, 64}) {
    const auto turns = rotary_turns(torch::tensor({3, 1, 8}, torch::kInt64), width, 10000);
    const auto x = torch::randn({3, 3 * width});
    const auto pairs = torch::view_as_complex(x.narrow(1, 0, 2 * width).unflatten(1, {2, -1, 2}));
    const auto turned = torch::view_as_real(pairs * turns).flatten(1);
    const auto expected = torch::cat({turned, x.narrow(1, 2 * width, width)}, 1);
    CHECK(torch::allclose(rotate(x.clone(), turns, 2), expected, 1e-5, 1e-6));
  }
}

TEST_CASE("the gradient of the rotary embedding turns back, and columns behind the heads pass") {
  const auto turns = rotary_turns(torch::tensor({3, 1, 8}, torch::kInt64), 4, 10000);
  const auto leaf = torch::randn({3, 12}).requires_grad_(true);
  const auto y = rotate(leaf * 1, turns, 2);
  y.backward(y.detach());
  CHECK(torch::allclose(leaf.grad(), leaf, 1e-5, 1e-6));  // a rotation's transpose is its inverse
}

TEST_CASE("bf16 is turned in fp32 and rounded once") {
  const auto turns = rotary_turns(torch::tensor({3, 1, 8}, torch::kInt64), 4, 10000);
  const auto x = torch::randn({3, 8}).to(torch::kBFloat16);
  const auto wide = rotate(x.to(torch::kFloat32), turns, 2);
  CHECK(torch::equal(rotate(x.clone(), turns, 2), wide.to(torch::kBFloat16)));
}

TEST_CASE("LLaMA-3.1's scaling leaves the bits of fast frequencies and divides slow ones exactly") {
  const auto positions = torch::arange(300).unsqueeze(0);
  const RopeScaling scaling{.kind = RopeScaling::Kind::kLlama3, .factor = 8};
  const auto plain = rotary_turns(positions, 128, 500000);
  const auto turns = rotary_turns(positions, 128, 500000, scaling);
  // Wavelengths of 8B's 64 pairs: below 2048 up to number 28, above 8192 from number 35 on.
  CHECK(torch::equal(turns.slice(-1, 0, 29), plain.slice(-1, 0, 29)));
  const auto slow = torch::angle(turns.select(1, 1).slice(-1, 35));
  CHECK(torch::allclose(slow * 8, torch::angle(plain.select(1, 1).slice(-1, 35)), 1e-6, 0));
  const auto between = torch::angle(turns.select(1, 1).slice(-1, 29, 35));
  const auto unscaled = torch::angle(plain.select(1, 1).slice(-1, 29, 35));
  CHECK((between < unscaled).all().item<bool>());
  CHECK((between > unscaled / 8).all().item<bool>());
}
