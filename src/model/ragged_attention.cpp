// Attention run by run: the queries of a run against their keys, nothing beside them. The softmax
// is computed again in the backward pass: kept, it would grow with the square of the length. In
// fp32 on a CPU the kernels of model/cpu do it all; the products here serve the other types.
#include <torch/autograd.h>

#include "bovila/model/adapter_attention.h"
#include "src/model/attention_parts.h"
#include "src/model/cpu/ragged.h"
#include "src/model/cpu/tensors.h"

namespace bovila {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

using Segments = std::vector<AttentionSegment>;

struct HeldSegments : torch::CustomClassHolder {
  explicit HeldSegments(std::shared_ptr<const Segments> held) : segments(std::move(held)) {}
  std::shared_ptr<const Segments> segments;
};

/// A run's queries [n, H, d], grouped by the G heads of keys that serve them: [G, H / G * n, d].
Tensor by_group(const Tensor& x_nHd, int64_t groups) {
  const auto x_Hnd = x_nHd.transpose(0, 1);
  return x_Hnd.size(0) == groups ? x_Hnd : x_Hnd.reshape({groups, -1, x_Hnd.size(2)});
}

/// [G, H / G * n, x] as [H, n, x] and back.
Tensor by_head(const Tensor& x, int64_t heads) {
  return x.view({heads, -1, x.size(2)});
}

/// The rows of a run's keys (or values), [G, keys, d].
Tensor gather(const Tensor& x_TGd, const std::vector<IndexRange>& keys) {
  if (keys.size() == 1) return x_TGd.narrow(0, keys[0].first, keys[0].count).transpose(0, 1);
  std::vector<Tensor> parts;
  parts.reserve(keys.size());
  for (const IndexRange& range : keys) parts.push_back(x_TGd.narrow(0, range.first, range.count));
  return torch::cat(parts).transpose(0, 1);
}

/// Adds the gradient of a run's keys, [G, keys, d], to that of all tokens.
void scatter_add(Tensor& x_TGd, const Tensor& grad_Gkd, const std::vector<IndexRange>& keys) {
  int64_t at = 0;
  for (const IndexRange& range : keys) {
    x_TGd.narrow(0, range.first, range.count)
        .add_(grad_Gkd.narrow(1, at, range.count).transpose(0, 1));
    at += range.count;
  }
}

/// The part of [H, n, keys] where gate2 is added.
Tensor after_video(const Tensor& x_Hnk, const AttentionSegment& segment) {
  return x_Hnk.slice(1, segment.first_after).narrow(2, segment.video.first, segment.video.count);
}

/// Softmax of a run's scores, [H, n, keys] fp32.
Tensor text_softmax(const Tensor& q_Gnd, const Tensor& k_Gkd, const AttentionSegment& segment,
                    int64_t heads, const Tensor& gate2, double scale) {
  auto scores = segment.mask.expand({heads, -1, -1}).clone(torch::MemoryFormat::Contiguous);
  if (gate2.defined() && segment.video.count > 0) {
    after_video(scores, segment).add_(gate2.view({-1, 1, 1}));
  }
  auto grouped = scores.view({q_Gnd.size(0), -1, scores.size(2)});
  if (q_Gnd.scalar_type() == torch::kFloat32) {
    grouped.baddbmm_(q_Gnd, k_Gkd.transpose(1, 2), 1, scale);
  } else {
    grouped.add_(torch::bmm(q_Gnd, k_Gkd.transpose(1, 2)).to(torch::kFloat32), scale);
  }
  return torch::_softmax(scores, -1, false);
}

Tensor slot_softmax(const Tensor& q_HQd, const Tensor& key, double scale) {
  return torch::_softmax(torch::bmm(q_HQd, key.transpose(1, 2)).to(torch::kFloat32).mul_(scale), -1,
                         false);
}

struct RaggedAttention : torch::autograd::Function<RaggedAttention> {
  static Tensor forward(AutogradContext* context, const Tensor& q, const Tensor& k, const Tensor& v,
                        const Maybe& maybe_key, const Maybe& maybe_value, const Maybe& maybe_gate1,
                        const Maybe& maybe_gate2, const std::shared_ptr<const Segments>& segments) {
    const auto key_a = maybe_key.value_or(Tensor()), value_a = maybe_value.value_or(Tensor());
    const auto gate1 = maybe_gate1.value_or(Tensor()), gate2 = maybe_gate2.value_or(Tensor());
    context->saved_data["segments"] =
        torch::IValue::make_capsule(c10::make_intrusive<HeldSegments>(segments));
    if (cpu::takes(q)) {
      context->save_for_backward({q, k, v, key_a, value_a, gate1, gate2});
      return cpu::ragged_forward(q, k, v, {key_a, value_a, gate1, gate2}, *segments);
    }
    const double scale = scale_of(q);
    const int64_t heads = q.size(1), groups = k.size(1);
    auto out = torch::empty(q.sizes(), q.options());
    variable_list saved = {q, k, v, key_a, value_a, gate1, gate2, {}};
    for (const AttentionSegment& segment : *segments) {
      const auto q_run =
          by_group(q.narrow(0, segment.queries.first, segment.queries.count), groups);
      const auto text = text_softmax(q_run, gather(k, segment.keys), segment, heads, gate2, scale);
      const auto grouped = text.view({groups, -1, text.size(2)}).to(v.scalar_type());
      out.narrow(0, segment.queries.first, segment.queries.count)
          .copy_(by_head(torch::bmm(grouped, gather(v, segment.keys)), heads).transpose(0, 1));
    }
    if (key_a.defined()) {
      const auto slots = slot_softmax(q.transpose(0, 1), key_a, scale);
      const auto gated = slots * torch::tanh(gate1.view({-1, 1, 1}));
      out.transpose(0, 1).add_(torch::bmm(gated.to(value_a.scalar_type()), value_a));
      saved[7] = slots;
    }
    context->save_for_backward(std::move(saved));
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto saved = context->get_saved_variables();
    const auto &q = saved[0], &k = saved[1], &v = saved[2], &key_a = saved[3], &gate2 = saved[6];
    const auto capsule = context->saved_data["segments"].toCapsule();
    const auto& segments = *static_cast<const HeldSegments&>(*capsule).segments;
    const auto& grad = grads[0];
    if (cpu::takes(q)) {
      const auto d =
          cpu::ragged_backward(q, k, v, {key_a, saved[4], saved[5], gate2}, segments, grad);
      return {d.q, d.k, d.v, d.key, d.value, d.gate1, d.gate2, {}};
    }
    const auto type = q.scalar_type();
    const double scale = scale_of(q);
    const int64_t heads = q.size(1), groups = k.size(1);

    auto d_q = torch::empty(q.sizes(), q.options());
    auto d_k = torch::zeros(k.sizes(), k.options()), d_v = torch::zeros(v.sizes(), v.options());
    auto d_gate2 =
        key_a.defined() ? torch::zeros({heads}, q.options().dtype(torch::kFloat32)) : Tensor();
    for (const AttentionSegment& segment : segments) {
      const auto run = [&](const Tensor& x) {
        return by_group(x.narrow(0, segment.queries.first, segment.queries.count), groups);
      };
      const auto grouped = [&](const Tensor& x) { return x.view({groups, -1, x.size(2)}); };
      const auto q_run = run(q), k_run = gather(k, segment.keys), grad_run = run(grad);
      const auto text = text_softmax(q_run, k_run, segment, heads, gate2, scale);
      scatter_add(d_v, torch::bmm(grouped(text).to(type).transpose(1, 2), grad_run), segment.keys);
      const auto d_text =
          by_head(torch::bmm(grad_run, gather(v, segment.keys).transpose(1, 2)), heads);
      auto d_scores = softmax_backward(d_text.to(torch::kFloat32), text);
      if (d_gate2.defined() && segment.video.count > 0) {
        d_gate2.add_(after_video(d_scores, segment).sum({1, 2}));
      }
      const auto d_scaled = grouped(d_scores.mul_(scale).to(type));
      d_q.narrow(0, segment.queries.first, segment.queries.count)
          .copy_(by_head(torch::bmm(d_scaled, k_run), heads).transpose(0, 1));
      scatter_add(d_k, torch::bmm(d_scaled.transpose(1, 2), q_run), segment.keys);
    }
    variable_list out = {d_q, d_k, d_v, {}, {}, {}, d_gate2, {}};
    if (key_a.defined()) add_adapter(saved, grad, scale, out);
    return out;
  }

 private:
  /// The adapter's gradients, and its part of d_q, in the order of forward's inputs.
  static void add_adapter(const variable_list& saved, const Tensor& grad, double scale,
                          variable_list& out) {
    const auto q = saved[0].transpose(0, 1);
    const auto &key_a = saved[3], &value_a = saved[4], &gate1 = saved[5], &slots = saved[7];
    const auto type = q.scalar_type();
    const auto grad_HQd = grad.transpose(0, 1);
    const auto gate = torch::tanh(gate1.view({-1, 1, 1}));
    out[4] = torch::bmm((slots * gate).to(type).transpose(1, 2), grad_HQd);
    const auto d_gated = torch::bmm(grad_HQd, value_a.transpose(1, 2)).to(torch::kFloat32);
    out[5] = (d_gated * slots).sum({1, 2}) * (1 - gate * gate).view(-1);
    const auto d_slots = softmax_backward(d_gated * gate, slots).mul_(scale).to(type);
    out[3] = torch::bmm(d_slots.transpose(1, 2), q);
    out[0].transpose(0, 1).add_(torch::bmm(d_slots, key_a));
  }
};

}  // namespace

Tensor ragged_attention(const Tensor& q_QHd, const Tensor& k_TGd, const Tensor& v_TGd,
                        const AdapterSlots& adapter, const AttentionScope& scope) {
  return RaggedAttention::apply(q_QHd, k_TGd, v_TGd, Maybe(adapter.key), Maybe(adapter.value),
                                Maybe(adapter.gate1), Maybe(adapter.gate2), scope.segments);
}

}  // namespace bovila
