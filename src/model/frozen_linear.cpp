// Which library multiplies, decided once, and the backward pass that goes with it.
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

struct FrozenLinear : torch::autograd::Function<FrozenLinear> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight) {
    context->saved_data["weight"] = weight;
    return product(x, weight);
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    return {product(grads[0], context->saved_data["weight"].toTensor().t()), Tensor()};
  }
};

}  // namespace

bool uses_onednn() {
  static const bool uses = cpu::is_slow_in_mkl() && onednn_linear().has_value();
  return uses;
}

Tensor frozen_linear(const Tensor& x, const Tensor& weight) {
  return FrozenLinear::apply(x, weight);
}

}  // namespace bovila
