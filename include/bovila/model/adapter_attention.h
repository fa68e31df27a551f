// Attention with an adapter branch and a bias towards the video: BoViLA's only change to a layer.
// Fed by model/llama.h (queries, keys, values), model/adapters.h (slots and gates) and
// model/attention_scope.h (who attends to whom). SPEC 2.
//
//     s_a = softmax_A(q k_a' / sqrt(d)) * tanh(gate1)           the adapter's slots alone, fp32
//     s_t = softmax_S(q k' / sqrt(d) + mask + gate2 * after_video)   the text alone, fp32
//     out = s_a v_a + s_t v
//
// Legend: T tokens, Q querying tokens, H heads, G heads of keys and values, A adapter slots, d head
// width; in the padded form also B rows of R queries and S keys.
#pragma once

#include "bovila/dist/libtorch.h"
#include "bovila/model/attention_scope.h"

namespace bovila {

/// What a layer's adapter adds to its attention. Undefined tensors in a layer without an adapter.
struct AdapterSlots {
  torch::Tensor key;    // [H, A, d], no rotary embedding
  torch::Tensor value;  // [H, A, d]
  torch::Tensor gate1;  // [H] fp32
  torch::Tensor gate2;  // [H] fp32

  bool defined() const { return key.defined(); }
};

/// Returns [Q, H, d] of q's type. Differentiable in everything but the scope, with backward passes
/// written by hand that save the inputs and, in padded rows, the softmaxes, nothing else. A head of
/// keys and values serves H / G consecutive heads of queries.
torch::Tensor adapter_attention(const torch::Tensor& q_QHd, const torch::Tensor& k_TGd,
                                const torch::Tensor& v_TGd, const AdapterSlots& adapter,
                                const AttentionScope& scope);

/// The part of it that reads ragged scopes, run by run: small products that stay in the cache. In
/// fp32 on a CPU by kernels of its own (src/model/cpu).
torch::Tensor ragged_attention(const torch::Tensor& q_QHd, const torch::Tensor& k_TGd,
                               const torch::Tensor& v_TGd, const AdapterSlots& adapter,
                               const AttentionScope& scope);

/// The part of it that computes padded rows, [B, H, R, d]; mask and after_video of the scope.
torch::Tensor padded_attention(const torch::Tensor& q_BHRd, const torch::Tensor& k_BHSd,
                               const torch::Tensor& v_BHSd, const AdapterSlots& adapter,
                               const AttentionScope& scope);

/// The same by LibTorch's automatic differentiation alone; the tests compare the two.
torch::Tensor padded_attention_reference(const torch::Tensor& q_BHRd, const torch::Tensor& k_BHSd,
                                         const torch::Tensor& v_BHSd, const AdapterSlots& adapter,
                                         const AttentionScope& scope);

}  // namespace bovila
