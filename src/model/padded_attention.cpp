// Attention of padded rows with its hand-written backward pass, and the plain form that it must
// equal.
#include "bovila/model/adapter_attention.h"

#include <torch/autograd.h>

#include "src/model/attention_parts.h"

namespace bovila {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

Tensor per_head(const Tensor& gate_H) {
  return gate_H.view({1, -1, 1, 1});
}

Tensor text_softmax(const Tensor& q, const Tensor& k, const Tensor& mask, const Tensor& after_video,
                    const Tensor& gate2) {
  auto scores = torch::matmul(q, k.transpose(-2, -1)).to(torch::kFloat32).mul_(scale_of(q));
  scores.add_(mask);
  if (gate2.defined()) scores.addcmul_(after_video, per_head(gate2));
  return torch::_softmax(scores, -1, false);
}

struct PaddedAttention : torch::autograd::Function<PaddedAttention> {
  static Tensor forward(AutogradContext* context, const Tensor& q, const Tensor& k, const Tensor& v,
                        const Maybe& maybe_key, const Maybe& maybe_value, const Maybe& maybe_gate1,
                        const Maybe& maybe_gate2, const Tensor& mask, const Tensor& after_video) {
    const auto key_a = maybe_key.value_or(Tensor()), value_a = maybe_value.value_or(Tensor());
    const auto gate1 = maybe_gate1.value_or(Tensor()), gate2 = maybe_gate2.value_or(Tensor());
    const auto text = text_softmax(q, k, mask, after_video, gate2);
    auto out = torch::matmul(text.to(v.scalar_type()), v);
    Tensor slots;
    if (key_a.defined()) {
      slots = torch::_softmax(
          torch::matmul(q, key_a.transpose(-2, -1)).to(torch::kFloat32).mul_(scale_of(q)), -1,
          false);
      const auto gated = slots * torch::tanh(per_head(gate1));
      out.add_(torch::matmul(gated.to(value_a.scalar_type()), value_a));
    }
    context->save_for_backward({q, k, v, key_a, value_a, gate1, after_video, text, slots});
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto saved = context->get_saved_variables();
    const auto &q = saved[0], &k = saved[1], &v = saved[2], &key_a = saved[3], &value_a = saved[4];
    const auto &gate1 = saved[5], &after_video = saved[6], &text = saved[7], &slots = saved[8];
    const auto& grad = grads[0];
    const auto type = q.scalar_type();
    const double scale = scale_of(q);

    const auto d_v = torch::matmul(text.to(type).transpose(-2, -1), grad);
    const auto d_scores = softmax_backward(
        torch::matmul(grad, v.transpose(-2, -1)).to(torch::kFloat32), text);  // [B, H, Q, S]
    Tensor d_gate1, d_gate2, d_key_a, d_value_a, d_slots;
    if (key_a.defined()) {
      d_gate2 = (d_scores * after_video).sum({0, 2, 3});
      const auto gate = torch::tanh(per_head(gate1));
      d_value_a = torch::matmul((slots * gate).to(type).transpose(-2, -1), grad).sum(0);
      const auto d_gated = torch::matmul(grad, value_a.transpose(-2, -1)).to(torch::kFloat32);
      d_gate1 = (d_gated * slots).sum({0, 2, 3}) * (1 - gate * gate).view(-1);
      d_slots = softmax_backward(d_gated * gate, slots).mul_(scale).to(type);  // [B, H, Q, A]
      d_key_a = torch::matmul(d_slots.transpose(-2, -1), q).sum(0);
    }
    const auto d_scaled = (d_scores * scale).to(type);
    auto d_q = torch::matmul(d_scaled, k);
    if (key_a.defined()) d_q.add_(torch::matmul(d_slots, key_a));
    const auto d_k = torch::matmul(d_scaled.transpose(-2, -1), q);
    return {d_q, d_k, d_v, d_key_a, d_value_a, d_gate1, d_gate2, Tensor(), Tensor()};
  }
};

}  // namespace

Tensor padded_attention(const Tensor& q_BHRd, const Tensor& k_BHSd, const Tensor& v_BHSd,
                        const AdapterSlots& adapter, const AttentionScope& scope) {
  return PaddedAttention::apply(q_BHRd, k_BHSd, v_BHSd, Maybe(adapter.key), Maybe(adapter.value),
                                Maybe(adapter.gate1), Maybe(adapter.gate2), scope.mask,
                                scope.after_video);
}

Tensor padded_attention_reference(const Tensor& q_BHRd, const Tensor& k_BHSd, const Tensor& v_BHSd,
                                  const AdapterSlots& adapter, const AttentionScope& scope) {
  const double scale = scale_of(q_BHRd);
  auto scores = torch::matmul(q_BHRd, k_BHSd.transpose(-2, -1)).to(torch::kFloat32) * scale;
  scores = scores + scope.mask;
  if (adapter.defined()) scores = scores + per_head(adapter.gate2) * scope.after_video;
  auto out = torch::matmul(torch::softmax(scores, -1).type_as(v_BHSd), v_BHSd);
  if (adapter.defined()) {
    const auto slots = torch::softmax(
        torch::matmul(q_BHRd, adapter.key.transpose(-2, -1)).to(torch::kFloat32) * scale, -1);
    const auto gated = slots * torch::tanh(per_head(adapter.gate1));
    out = out + torch::matmul(gated.type_as(adapter.value), adapter.value);
  }
  return out;
}

}  // namespace bovila
