// RMSNorm and SwiGLU as single nodes of the graph instead of five and three.
#include "bovila/model/llama_ops.h"

namespace bovila {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct RmsNorm : torch::autograd::Function<RmsNorm> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight,
                        double eps) {
    const auto wide = x.to(torch::kFloat32);
    const auto scale = torch::rsqrt(wide.square().mean(-1, true).add_(eps));
    context->save_for_backward({x, weight, scale});
    return (wide * scale).to(x.scalar_type()) * weight;
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &scale = saved[2];
    const auto normed = x.to(torch::kFloat32) * scale;
    auto grad = (grads[0] * weight).to(torch::kFloat32);
    const auto along = (grad * normed).mean(-1, true);
    grad.addcmul_(normed, along, -1).mul_(scale);
    return {grad.to(x.scalar_type()), Tensor(), Tensor()};
  }
};

struct SwiGlu : torch::autograd::Function<SwiGlu> {
  static Tensor forward(AutogradContext* context, const Tensor& gate_up) {
    context->save_for_backward({gate_up});
    const auto halves = gate_up.chunk(2, -1);
    return torch::silu(halves[0]).mul_(halves[1]);
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto gate_up = context->get_saved_variables()[0];
    const auto halves = gate_up.chunk(2, -1);
    auto out = torch::empty_like(gate_up);
    auto out_halves = out.chunk(2, -1);
    torch::mul_out(out_halves[1], grads[0], torch::silu(halves[0]));
    out_halves[0].copy_(torch::silu_backward(grads[0] * halves[1], halves[0]));
    return {out};
  }
};

}  // namespace

Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps) {
  return RmsNorm::apply(x, weight, eps);
}

Tensor swiglu(const Tensor& gate_up) {
  return SwiGlu::apply(gate_up);
}

}  // namespace bovila
