// The best of a few products: others on the machine only make one slower.
#include "bovila/model/product_speed.h"

#include <chrono>

#include "bovila/model/frozen_linear.h"

namespace bovila {
namespace {

double gflops(torch::ScalarType type) {
  constexpr int64_t kRows = 256, kWidth = 1024;
  constexpr int kTries = 4;  // the first also loads the library's kernels
  const torch::NoGradGuard no_grad;
  const auto x = torch::ones({kRows, kWidth}, type), weight = torch::ones({kWidth, kWidth}, type);
  double best = 0;
  for (int i = 0; i < kTries; ++i) {
    const auto start = std::chrono::steady_clock::now();
    frozen_linear(x, weight);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    best = std::max(best, 2e-9 * kRows * kWidth * kWidth / taken.count());
  }
  return best;
}

}  // namespace

ProductSpeed measure_products() {
  return {gflops(torch::kFloat32), gflops(torch::kBFloat16)};
}

torch::ScalarType faster_type(const ProductSpeed& speed) {
  constexpr double kWorthIt = 1.5;
  return speed.bf16 > kWorthIt * speed.fp32 ? torch::kBFloat16 : torch::kFloat32;
}

}  // namespace bovila
