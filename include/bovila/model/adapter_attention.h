// Attention with an adapter branch and a bias towards the video: BoViLA's only change to a layer.
// Fed by model/llama.h (queries, keys, values) and model/adapters.h (slots and gates). SPEC 2.
//
//     s_a = softmax_A(q k_a' / sqrt(d)) * tanh(gate1)           the adapter's slots alone, fp32
//     s_t = softmax_S(q k' / sqrt(d) + mask + gate2 * after_video)   the text alone, fp32
//     out = s_a v_a + s_t v
//
// Legend: B rows, H heads, Q queries, S keys, A adapter slots, d head width.
#pragma once

#include <torch/torch.h>

namespace bovila {

/// What a layer's adapter adds to its attention. Undefined tensors in a layer without an adapter.
struct AdapterSlots {
  torch::Tensor key;    // [H, A, d], no rotary embedding
  torch::Tensor value;  // [H, A, d]
  torch::Tensor gate1;  // [H] fp32
  torch::Tensor gate2;  // [H] fp32

  bool defined() const { return key.defined(); }
};

/// Which keys a query sees.
struct AttentionScope {
  torch::Tensor mask;         // [B, 1, Q, S] fp32, added to the scores
  torch::Tensor after_video;  // [B, 1, Q, S] fp32, where gate2 is added
};

/// Returns [B, H, Q, d] of q's type. Differentiable in everything but the scope, with a backward
/// pass written by hand: it saves the two softmaxes and its inputs, nothing else.
torch::Tensor adapter_attention(const torch::Tensor& q_BHQd, const torch::Tensor& k_BHSd,
                                const torch::Tensor& v_BHSd, const AdapterSlots& adapter,
                                const AttentionScope& scope);

/// The same by LibTorch's automatic differentiation alone; the tests compare the two.
torch::Tensor adapter_attention_reference(const torch::Tensor& q_BHQd, const torch::Tensor& k_BHSd,
                                          const torch::Tensor& v_BHSd, const AdapterSlots& adapter,
                                          const AttentionScope& scope);

}  // namespace bovila
