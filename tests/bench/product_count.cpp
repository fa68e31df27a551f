// A callback of LibTorch's that sees the arguments of every call. Compiled with NDEBUG, as
// LibTorch's wheel is: otherwise its header asks for a member that the wheel does not set.
#include "tests/bench/product_count.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>

#include <array>
#include <atomic>
#include <memory>
#include <string_view>

namespace bovila::testing {
namespace {

struct Product {
  std::string_view name;
  size_t left, right;  // places of the factors among the arguments
  bool transposed = false;
};

constexpr std::array<Product, 7> kProducts = {{
    {"aten::mm", 0, 1},
    {"aten::addmm", 1, 2},
    {"aten::addmm_", 1, 2},
    {"aten::bmm", 0, 1},
    {"aten::baddbmm", 1, 2},
    {"aten::baddbmm_", 1, 2},
    {"mkldnn::_linear_pointwise", 0, 1, /*transposed=*/true},
}};

std::atomic<int64_t> total{0};  // a callback is a plain function

std::unique_ptr<at::ObserverContext> count(const at::RecordFunction& call) {
  for (const Product& product : kProducts) {
    if (product.name != call.name()) continue;
    const auto& left = call.inputs()[product.left].toTensor();
    const auto& right = call.inputs()[product.right].toTensor();
    total += 2 * left.numel() * right.size(product.transposed ? 0 : -1);
  }
  return nullptr;
}

}  // namespace

ProductCount::ProductCount() {
  total = 0;
  handle_ = at::addGlobalCallback(
      at::RecordFunctionCallback(&count).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
}

ProductCount::~ProductCount() {
  at::removeCallback(handle_);
}

int64_t ProductCount::operations() const {
  return total;
}

}  // namespace bovila::testing
