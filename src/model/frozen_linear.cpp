// Which library multiplies, decided once, and the backward pass that goes with it.
#include "bovila/model/frozen_linear.h"

#include <ATen/core/dispatch/Dispatcher.h>

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

/// x times the transpose of `weight`, without a graph.
Tensor product(const Tensor& x, const Tensor& weight) {
  if (x.is_cpu() && x.scalar_type() == torch::kFloat32 && uses_onednn()) {
    return onednn_linear()->call(x.contiguous(), weight, std::nullopt, "none", Scalars(),
                                 std::nullopt);
  }
  return torch::linear(x, weight);
}

struct FrozenLinear : torch::autograd::Function<FrozenLinear> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const FrozenMatrix& matrix) {
    const bool has_transposed = matrix.transposed.defined();
    context->saved_data["has_transposed"] = has_transposed;
    context->saved_data["matrix"] = has_transposed ? matrix.transposed : matrix.weight;
    return product(x, matrix.weight);
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto matrix = context->saved_data["matrix"].toTensor();
    const bool has_transposed = context->saved_data["has_transposed"].toBool();
    return {has_transposed ? product(grads[0], matrix) : torch::matmul(grads[0], matrix), Tensor()};
  }
};

}  // namespace

bool uses_onednn() {
  static const bool uses = !__builtin_cpu_is("intel") && onednn_linear().has_value();
  return uses;
}

FrozenMatrix FrozenMatrix::rows(int64_t first, int64_t count) const {
  // Columns of the transposed one do not lie together: the plain product serves its backward pass.
  return {weight.narrow(0, first, count), {}};
}

Tensor frozen_linear(const Tensor& x, const FrozenMatrix& matrix) {
  return FrozenLinear::apply(x, matrix);
}

}  // namespace bovila
