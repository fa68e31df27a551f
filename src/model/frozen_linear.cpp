// Which library multiplies, decided once, what it multiplies with, and the backward pass.
#include "bovila/model/frozen_linear.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/autograd.h>

#include "src/model/cpu/processor.h"

namespace bovila {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

using Scalars = c10::List<std::optional<at::Scalar>>;
using OneDnnLinear = Tensor(const Tensor&, const Tensor&, const std::optional<Tensor>&,
                            std::string_view, Scalars, std::optional<std::string_view>);

/// Of a panel: 4 MiB in fp32, and at least so many rows or columns.
constexpr int64_t kPanelNumbers = 1 << 20, kLeastPanel = 2 * kNf4BlockSize;

/// LibTorch's oneDNN product; null in a LibTorch built without it.
const std::optional<c10::TypedOperatorHandle<OneDnnLinear>>& onednn_linear() {
  static const auto handle = []() -> std::optional<c10::TypedOperatorHandle<OneDnnLinear>> {
    const auto found = c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
    if (!found || !at::globalContext().hasMKLDNN()) return std::nullopt;
    return found->typed<OneDnnLinear>();
  }();
  return handle;
}

/// x times the transpose of `weight`, without a graph. oneDNN reads a `weight` that is itself a
/// transposed view as it lies, without a copy.
Tensor product(const Tensor& x, const Tensor& weight) {
  if (x.is_cpu() && x.scalar_type() == torch::kFloat32 && uses_onednn()) {
    return onednn_linear()->call(x.contiguous(), weight, std::nullopt, "none", Scalars(),
                                 std::nullopt);
  }
  return torch::linear(x, weight);
}

bool is_used_as_stored(const FrozenMatrix& weight, const Tensor& x) {
  return weight.values.scalar_type() == x.scalar_type();
}

/// How many rows, or columns in whole blocks, of so many numbers make a panel.
int64_t panel_size(int64_t numbers, int64_t whole) {
  const int64_t size = std::max(kPanelNumbers / numbers, kLeastPanel);
  return std::min(whole, size / kNf4BlockSize * kNf4BlockSize);
}

/// out[:, first + i] = (x times panel i of the matrix), for panels [size, k] that `expand` fills.
template <typename Expand>
Tensor panel_products(const Tensor& x, int64_t out_width, int64_t size, const Expand& expand) {
  if (size == out_width) return product(x, expand(0, size));
  const auto rows = x.reshape({-1, x.size(-1)});
  auto shape = x.sizes().vec();
  shape.back() = out_width;
  auto out = torch::empty(shape, x.options());  // no view: callers change it in place
  const auto flat = out.view({rows.size(0), out_width});
  for (int64_t first = 0; first < out_width; first += size) {
    const int64_t count = std::min(size, out_width - first);
    flat.narrow(1, first, count).copy_(product(rows, expand(first, count)));
  }
  return out;
}

/// x times the transpose of `weight`.
Tensor forward_product(const Tensor& x, const FrozenMatrix& weight) {
  if (is_used_as_stored(weight, x)) return product(x, weight.values);
  if (!x.is_cpu()) return product(x, weight.expanded(x.scalar_type()));
  const int64_t columns = weight.columns(), size = panel_size(columns, weight.rows());
  const auto workspace = torch::empty({size, columns}, x.options());
  return panel_products(x, weight.rows(), size, [&](int64_t first, int64_t count) {
    const auto panel = workspace.narrow(0, 0, count);
    expand_into(weight, first, 0, panel);
    return panel;
  });
}

/// x times `weight`.
Tensor backward_product(const Tensor& x, const FrozenMatrix& weight) {
  if (is_used_as_stored(weight, x)) return product(x, weight.values.t());
  if (!x.is_cpu()) return product(x, weight.expanded(x.scalar_type()).t());
  const int64_t rows = weight.rows(), size = panel_size(rows, weight.columns());
  const auto workspace = torch::empty({rows * size}, x.options());
  return panel_products(x, weight.columns(), size, [&](int64_t first, int64_t count) {
    const auto panel = workspace.narrow(0, 0, rows * count).view({rows, count});
    expand_into(weight, 0, first, panel);
    return panel.t();
  });
}

struct HeldMatrix : torch::CustomClassHolder {
  explicit HeldMatrix(FrozenMatrix held) : matrix(std::move(held)) {}
  FrozenMatrix matrix;
};

struct FrozenLinear : torch::autograd::Function<FrozenLinear> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const FrozenMatrix& weight) {
    context->saved_data["weight"] =
        torch::IValue::make_capsule(c10::make_intrusive<HeldMatrix>(weight));
    return forward_product(x, weight);
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto held = context->saved_data["weight"].toCapsule();
    return {backward_product(grads[0], static_cast<HeldMatrix&>(*held).matrix), Tensor()};
  }
};

}  // namespace

bool uses_onednn() {
  static const bool uses = cpu::is_slow_in_mkl() && onednn_linear().has_value();
  return uses;
}

Tensor frozen_linear(const Tensor& x, const FrozenMatrix& weight) {
  return FrozenLinear::apply(x, weight);
}

}  // namespace bovila
