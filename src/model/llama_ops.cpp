// RMSNorm and SwiGLU as single nodes of the graph instead of five and three.
#include "bovila/model/llama_ops.h"

#include <torch/autograd.h>

#include "src/model/cpu/rows.h"
#include "src/model/cpu/tensors.h"

namespace bovila {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct RmsNorm : torch::autograd::Function<RmsNorm> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight,
                        double eps) {
    if (cpu::takes(x) && cpu::takes(weight)) return on_cpu(context, x.contiguous(), weight, eps);
    const auto wide = x.to(torch::kFloat32);
    const auto scale = torch::rsqrt(wide.square().mean(-1, true).add_(eps));
    context->save_for_backward({x, weight, scale});
    return (wide * scale).to(x.scalar_type()) * weight;
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &scale = saved[2];
    if (cpu::takes(x) && cpu::takes(weight)) {
      return {backward_on_cpu(x, weight, scale, grads[0].contiguous()), Tensor(), Tensor()};
    }
    const auto normed = x.to(torch::kFloat32) * scale;
    auto grad = (grads[0] * weight).to(torch::kFloat32);
    const auto along = (grad * normed).mean(-1, true);
    grad.addcmul_(normed, along, -1).mul_(scale);
    return {grad.to(x.scalar_type()), Tensor(), Tensor()};
  }

 private:
  static Tensor on_cpu(AutogradContext* context, const Tensor& x, const Tensor& weight,
                       double eps) {
    auto out = torch::empty_like(x);
    auto scale = torch::empty({x.numel() / x.size(-1)});
    cpu::each_row(x.size(-1), scale.numel(), [&](int64_t first, int64_t count) {
      cpu::rms_norm(cpu::row(x, first), weight.data_ptr<float>(), static_cast<float>(eps),
                    cpu::row(out, first), scale.data_ptr<float>() + first, count, x.size(-1));
    });
    context->save_for_backward({x, weight, scale});
    return out;
  }

  static Tensor backward_on_cpu(const Tensor& x, const Tensor& weight, const Tensor& scale,
                                const Tensor& grad) {
    auto out = torch::empty_like(x);
    cpu::each_row(x.size(-1), scale.numel(), [&](int64_t first, int64_t count) {
      cpu::rms_norm_backward(cpu::row(x, first), weight.data_ptr<float>(),
                             scale.data_ptr<float>() + first, cpu::row(grad, first),
                             cpu::row(out, first), count, x.size(-1));
    });
    return out;
  }
};

struct SwiGlu : torch::autograd::Function<SwiGlu> {
  static Tensor forward(AutogradContext* context, const Tensor& gate_up) {
    context->save_for_backward({gate_up});
    if (cpu::takes(gate_up)) return on_cpu(gate_up.contiguous());
    const auto halves = gate_up.chunk(2, -1);
    return torch::silu(halves[0]).mul_(halves[1]);
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto gate_up = context->get_saved_variables()[0];
    if (cpu::takes(gate_up)) {
      return {backward_on_cpu(gate_up.contiguous(), grads[0].contiguous())};
    }
    const auto halves = gate_up.chunk(2, -1);
    auto out = torch::empty_like(gate_up);
    auto out_halves = out.chunk(2, -1);
    torch::mul_out(out_halves[1], grads[0], torch::silu(halves[0]));
    out_halves[0].copy_(torch::silu_backward(grads[0] * halves[1], halves[0]));
    return {out};
  }

 private:
  static Tensor on_cpu(const Tensor& gate_up) {
    auto sizes = gate_up.sizes().vec();
    sizes.back() /= 2;
    auto out = torch::empty(sizes, gate_up.options());
    cpu::each_row(sizes.back(), out.numel() / sizes.back(), [&](int64_t first, int64_t count) {
      cpu::swiglu(cpu::row(gate_up, first), cpu::row(out, first), count, sizes.back());
    });
    return out;
  }

  static Tensor backward_on_cpu(const Tensor& gate_up, const Tensor& grad) {
    auto out = torch::empty_like(gate_up);
    const int64_t width = grad.size(-1);
    cpu::each_row(width, grad.numel() / width, [&](int64_t first, int64_t count) {
      cpu::swiglu_backward(cpu::row(gate_up, first), cpu::row(grad, first), cpu::row(out, first),
                           count, width);
    });
    return out;
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
