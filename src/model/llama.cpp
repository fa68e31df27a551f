// The forward pass, layer by layer.
#include "bovila/model/llama.h"

#include <torch/autograd.h>

#include "bovila/core/error.h"
#include "bovila/model/frozen_linear.h"
#include "bovila/model/group_sum.h"
#include "bovila/model/llama_ops.h"
#include "bovila/model/rotary.h"

namespace bovila {
namespace {

using torch::Tensor;

/// What a layer needs to know about a pass, besides the hidden states.
struct Pass {
  Tensor turns;          // [T, 1, d / 2]
  AttentionScope scope;  // of the tokens that query
};

/// A layer as a function of what has gradients.
using LayerFunction = std::function<Tensor(const Tensor& x_TD, const AdapterSlots& adapter)>;

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
  Layer(const LlamaLayerWeights& weights, const LlamaParams& params, Communicator* group)
      : weights_(weights),
        params_(params),
        group_(group),
        q_dim_(weights.q_dim()),
        kv_dim_(weights.kv_dim()) {}

  /// All tokens: [T, D] to [T, D].
  Tensor forward(const Tensor& x_TD, const Pass& pass, const AdapterSlots& adapter) const {
    const auto normed = shared_norm(x_TD, weights_.attention_norm);
    const auto qkv =
        rotate(frozen_linear(normed, weights_.wqkv), pass.turns, num_heads(q_dim_ + kv_dim_))
            .split_with_sizes({q_dim_, kv_dim_, kv_dim_}, -1);
    return feed_forward(x_TD + attend(qkv[0], qkv[1], qkv[2], adapter, pass.scope));
  }

  /// The last layer: keys and values of all tokens, queries of the `wanted` [U]; to [U, D].
  Tensor forward_wanted(const Tensor& x_TD, const Tensor& wanted, const Pass& pass,
                        const AdapterSlots& adapter) const {
    const auto normed = shared_norm(x_TD, weights_.attention_norm);
    const auto kv =
        rotate(frozen_linear(normed, weights_.wkv()), pass.turns, num_heads(kv_dim_)).chunk(2, -1);
    const auto q = rotate(frozen_linear(normed.index_select(0, wanted), weights_.wq()),
                          pass.turns.index_select(0, wanted), num_heads(q_dim_));
    return feed_forward(x_TD.index_select(0, wanted) +
                        attend(q, kv[0], kv[1], adapter, pass.scope));
  }

 private:
  int64_t num_heads(int64_t width) const { return width / params_.head_dim(); }

  /// What the matrices of all parts take.
  Tensor shared_norm(const Tensor& x, const Tensor& weight) const {
    return share_with_group(rms_norm(x, weight, params_.norm_eps), group_);
  }

  /// [n, heads * d] to [n, heads, d].
  Tensor heads(const Tensor& x) const { return x.unflatten(-1, {-1, params_.head_dim()}); }

  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const AdapterSlots& adapter,
                const AttentionScope& scope) const {
    const auto out_QHd = adapter_attention(heads(q), heads(k), heads(v), adapter, scope);
    return sum_over_group(frozen_linear(out_QHd.flatten(1), weights_.wo), group_);
  }

  Tensor feed_forward(const Tensor& x) const {
    const auto gate_up = frozen_linear(shared_norm(x, weights_.ffn_norm), weights_.w13);
    return x + sum_over_group(frozen_linear(swiglu(gate_up), weights_.w2), group_);
  }

  const LlamaLayerWeights& weights_;
  const LlamaParams& params_;
  Communicator* group_;
  int64_t q_dim_, kv_dim_;
};

Tensor recomputed(const Layer& layer, const Tensor& x_TD, const Pass& pass,
                  const AdapterSlots& adapter) {
  const LayerFunction function = [=](const Tensor& x, const AdapterSlots& slots) {
    return layer.forward(x, pass, slots);
  };
  return Recomputed::apply(x_TD, adapter.key, adapter.value, adapter.gate1, adapter.gate2,
                           function);
}

}  // namespace

Llama::Llama(LlamaWeights weights, bool recompute, Communicator* group)
    : weights_(std::move(weights)), recompute_(recompute), group_(group) {
  const LlamaPart& part = weights_.part;
  BOVILA_CHECK(
      part.ranks == (group ? group->size() : 1) && part.rank == (group ? group->rank() : 0),
      "part {} of {} of a LLaMA's weights is not that of its rank", part.rank, part.ranks);
}

Tensor Llama::embed(const Tensor& ids) const {
  return torch::embedding(weights_.tok_embeddings, ids);
}

Tensor Llama::forward(Tensor x_TD, const Sequences& sequences,
                      std::span<const AdapterSlots> adapters) const {
  const auto& p = params();
  const auto turns = rotary_turns(sequences.positions, p.head_dim(), p.rope_theta, p.rope_scaling);
  const Pass pass{turns, sequences.every};
  const size_t last = weights_.layers.size() - 1;
  for (size_t l = 0; l < last; ++l) {
    const Layer layer(weights_.layers[l], p, group_);
    x_TD = recompute_ ? recomputed(layer, x_TD, pass, adapters[l])
                      : layer.forward(x_TD, pass, adapters[l]);
  }
  const auto x_UD =
      Layer(weights_.layers[last], p, group_)
          .forward_wanted(x_TD, sequences.outputs, {turns, sequences.wanted}, adapters[last]);
  return rms_norm(x_UD, weights_.norm, p.norm_eps);
}

Tensor Llama::logits(const Tensor& hidden_ND) const {
  return frozen_linear(hidden_ND, weights_.output).to(torch::kFloat32);
}

}  // namespace bovila
