// The forward pass, layer by layer.
#include "bovila/model/llama.h"

#include "bovila/model/llama_ops.h"
#include "bovila/model/rotary.h"

namespace bovila {
namespace {

using torch::Tensor;

/// Rows x_BSD[b, places[b, q]] as [B, Q, D].
Tensor take_rows(const Tensor& x_BSD, const Tensor& places_BQ) {
  return x_BSD.gather(1, places_BQ.unsqueeze(-1).expand({-1, -1, x_BSD.size(-1)}));
}

/// What a layer needs to know about a pass, besides the hidden states.
struct Pass {
  Tensor turns;          // [B, S, 1, d / 2]
  AttentionScope scope;  // every position queries
};

/// A layer as a function of what has gradients.
using LayerFunction = std::function<Tensor(const Tensor& x_BSD, const AdapterSlots& adapter)>;

struct HeldFunction : torch::CustomClassHolder {
  explicit HeldFunction(LayerFunction held) : function(std::move(held)) {}
  LayerFunction function;
};

/// Runs a layer without a graph and keeps its inputs; the backward pass runs it again with one.
struct Recomputed : torch::autograd::Function<Recomputed> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x,
                        const Tensor& key, const Tensor& value, const Tensor& gate1,
                        const Tensor& gate2, const LayerFunction& layer) {
    context->save_for_backward({x, key, value, gate1, gate2});
    context->saved_data["layer"] =
        torch::IValue::make_capsule(c10::make_intrusive<HeldFunction>(layer));
    return layer(x, {key, value, gate1, gate2});
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    torch::autograd::variable_list inputs = context->get_saved_variables(), wanted;
    for (Tensor& input : inputs) {
      if (!input.defined()) continue;
      const bool has_gradient = input.requires_grad();
      input = input.detach();
      if (has_gradient) wanted.push_back(input.requires_grad_());
    }
    const auto held = context->saved_data["layer"].toCapsule();
    const torch::AutoGradMode with_graph(true);
    const auto y = static_cast<HeldFunction&>(*held).function(
        inputs[0], {inputs[1], inputs[2], inputs[3], inputs[4]});
    const auto found = torch::autograd::grad({y}, wanted, {grads[0]});
    torch::autograd::variable_list out(inputs.size() + 1);  // the last is the function's: none
    size_t next = 0;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].defined() && inputs[i].requires_grad()) out[i] = found[next++];
    }
    return out;
  }
};

class Layer {
 public:
  Layer(const LlamaLayerWeights& weights, const LlamaParams& params)
      : weights_(weights), params_(params) {}

  /// All positions: [B, S, D] to [B, S, D].
  Tensor forward(const Tensor& x_BSD, const Pass& pass, const AdapterSlots& adapter) const {
    const auto normed = rms_norm(x_BSD, weights_.attention_norm, params_.norm_eps);
    const auto qkv = frozen_linear(normed, weights_.wqkv)
                         .split_with_sizes({params_.dim, params_.kv_dim(), params_.kv_dim()}, -1);
    const auto attended =
        attend(rotate(heads(qkv[0]), pass.turns), rotate(heads(qkv[1]), pass.turns), heads(qkv[2]),
               pass.scope, adapter);
    return feed_forward(x_BSD + attended);
  }

  /// The last layer: keys and values of all positions, queries of `places` [B, Q]; to [B, Q, D].
  Tensor forward_at(const Tensor& x_BSD, const Tensor& places, const Pass& pass,
                    const AdapterSlots& adapter) const {
    const auto normed = rms_norm(x_BSD, weights_.attention_norm, params_.norm_eps);
    const auto kv = frozen_linear(normed, weights_.wkv(params_)).chunk(2, -1);
    const auto q = frozen_linear(take_rows(normed, places), weights_.wq(params_));
    const auto rows = torch::arange(places.size(0), places.options()).unsqueeze(1);
    const auto turns = pass.turns.index({rows, places});
    const AttentionScope scope{pass.scope.mask.index({rows, 0, places}).unsqueeze(1),
                               pass.scope.after_video.index({rows, 0, places}).unsqueeze(1)};
    const auto attended = attend(rotate(heads(q), turns), rotate(heads(kv[0]), pass.turns),
                                 heads(kv[1]), scope, adapter);
    return feed_forward(take_rows(x_BSD, places) + attended);
  }

 private:
  /// [B, S, n * d] to [B, S, n, d].
  Tensor heads(const Tensor& x) const { return x.unflatten(-1, {-1, params_.head_dim()}); }

  /// [B, S, n_kv_heads, d] to [B, H, S, d]: grouped heads are shared by consecutive queries' heads.
  Tensor keys_of_each_head(const Tensor& x) const {
    const int64_t groups = params_.n_heads / params_.n_kv_heads;
    return (groups == 1 ? x : x.repeat_interleave(groups, 2)).transpose(1, 2).contiguous();
  }

  Tensor attend(const Tensor& q_BQHd, const Tensor& k_BShd, const Tensor& v_BShd,
                const AttentionScope& scope, const AdapterSlots& adapter) const {
    const auto out_BHQd =
        adapter_attention(q_BQHd.transpose(1, 2).contiguous(), keys_of_each_head(k_BShd),
                          keys_of_each_head(v_BShd), adapter, scope);
    return frozen_linear(out_BHQd.transpose(1, 2).flatten(2), weights_.wo);
  }

  Tensor feed_forward(const Tensor& x) const {
    const auto normed = rms_norm(x, weights_.ffn_norm, params_.norm_eps);
    return x + frozen_linear(swiglu(frozen_linear(normed, weights_.w13)), weights_.w2);
  }

  const LlamaLayerWeights& weights_;
  const LlamaParams& params_;
};

Tensor recomputed(const Layer& layer, const Tensor& x_BSD, const Pass& pass,
                  const AdapterSlots& adapter) {
  const LayerFunction function = [=](const Tensor& x, const AdapterSlots& slots) {
    return layer.forward(x, pass, slots);
  };
  return Recomputed::apply(x_BSD, adapter.key, adapter.value, adapter.gate1, adapter.gate2,
                           function);
}

}  // namespace

Tensor Llama::embed(const Tensor& ids) const {
  return torch::embedding(weights_.tok_embeddings, ids);
}

Tensor Llama::forward(Tensor x_BSD, const Sequences& sequences,
                      std::span<const AdapterSlots> adapters) const {
  const auto& p = params();
  const Pass pass{rotary_turns(sequences.positions, p.head_dim(), p.rope_theta, p.rope_scaling),
                  {sequences.mask, sequences.after_video}};
  const size_t last = weights_.layers.size() - 1;
  for (size_t l = 0; l < last; ++l) {
    const Layer layer(weights_.layers[l], p);
    x_BSD = recompute_ ? recomputed(layer, x_BSD, pass, adapters[l])
                       : layer.forward(x_BSD, pass, adapters[l]);
  }
  const auto x_BQD =
      Layer(weights_.layers[last], p).forward_at(x_BSD, sequences.outputs, pass, adapters[last]);
  const auto x_ND = x_BQD.flatten(0, 1).index_select(0, sequences.selected);
  return rms_norm(x_ND, weights_.norm, p.norm_eps);
}

Tensor Llama::logits(const Tensor& hidden_ND) const {
  return torch::linear(hidden_ND, weights_.output).to(torch::kFloat32);
}

}  // namespace bovila
