// Rotary embedding as a complex product in place; its gradient is the product with the conjugate.
#include "bovila/model/rotary.h"

#include <torch/autograd.h>

#include <numbers>

#include "src/model/cpu/rows.h"
#include "src/model/cpu/tensors.h"

namespace bovila {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// In fp32, as Meta's and Hugging Face's programs have them.
Tensor scaled(const Tensor& frequencies, const RopeScaling& scaling) {
  if (scaling.kind == RopeScaling::Kind::kNone) return frequencies;
  auto slowed = frequencies / scaling.factor;
  if (scaling.kind == RopeScaling::Kind::kLinear) return slowed;
  const auto turns = scaling.original_length * frequencies / (2 * std::numbers::pi);
  const auto kept = ((turns - scaling.low) / (scaling.high - scaling.low)).clamp(0, 1);
  return (1 - kept) * slowed + kept * frequencies;
}

/// The heads that are turned, as complex numbers [T, heads, d / 2]; a view of fp32 x, else a copy.
Tensor pairs_of(const Tensor& x, const Tensor& turns, int64_t num_heads) {
  const int64_t pairs = turns.size(-1);
  const auto heads = x.narrow(1, 0, num_heads * 2 * pairs).to(torch::kFloat32);
  return torch::view_as_complex(heads.unflatten(1, {num_heads, pairs, 2}));
}

struct Rotate : torch::autograd::Function<Rotate> {
  static Tensor forward(AutogradContext* context, Tensor x, const Tensor& turns,
                        int64_t num_heads) {
    context->save_for_backward({turns});
    context->saved_data["num_heads"] = num_heads;
    context->mark_dirty({x});
    if (cpu::takes(x) && x.is_contiguous()) {
      turn_on_cpu(x, x, turns, num_heads, /*back=*/false);
    } else {
      turn(x, x, turns, num_heads);
    }
    return x;
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto turns = context->get_saved_variables()[0];
    const int64_t num_heads = context->saved_data["num_heads"].toInt();
    if (cpu::takes(grads[0])) {
      const auto grad = grads[0].contiguous();
      auto out = torch::empty_like(grad);
      turn_on_cpu(out, grad, turns, num_heads, /*back=*/true);
      return {out, Tensor(), Tensor()};
    }
    auto out = torch::empty_like(grads[0]);
    const int64_t turned = num_heads * 2 * turns.size(-1);
    out.slice(1, turned).copy_(grads[0].slice(1, turned));
    turn(out, grads[0], torch::conj_physical(turns), num_heads);
    return {out, Tensor(), Tensor()};
  }

 private:
  static void turn_on_cpu(const Tensor& out, const Tensor& x, const Tensor& turns,
                          int64_t num_heads, bool back) {
    const auto parts = torch::view_as_real(turns).flatten(1);  // [T, d]
    cpu::each_row(x.size(1), x.size(0), [&](int64_t first, int64_t count) {
      cpu::rotate(cpu::row(x, first), cpu::row(parts, first), back, cpu::row(out, first), count,
                  x.size(1), num_heads, turns.size(-1));
    });
  }

  static void turn(Tensor& out, const Tensor& x, const Tensor& turns, int64_t num_heads) {
    auto to = pairs_of(out, turns, num_heads);
    torch::mul_out(to, pairs_of(x, turns, num_heads), turns);
    if (out.scalar_type() == torch::kFloat32) return;
    out.narrow(1, 0, num_heads * 2 * turns.size(-1)).copy_(torch::view_as_real(to).flatten(1));
  }
};

}  // namespace

Tensor rotary_turns(const Tensor& positions, int64_t head_dim, double theta,
                    const RopeScaling& scaling) {
  const auto options = torch::TensorOptions(torch::kFloat32).device(positions.device());
  const auto exponents = torch::arange(0, head_dim, 2, options) / static_cast<double>(head_dim);
  const auto frequencies = scaled(1.0 / torch::pow(theta, exponents), scaling);
  const auto angles = positions.to(torch::kFloat32).unsqueeze(-1) * frequencies;
  return torch::polar(torch::ones_like(angles), angles).unsqueeze(-2);
}

Tensor rotate(const Tensor& x, const Tensor& turns, int64_t num_heads) {
  return Rotate::apply(x, turns, num_heads);
}

}  // namespace bovila
