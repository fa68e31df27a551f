// The frozen LLaMA: embeddings in, hidden states at the wanted positions out.
// Fed by weights/llama_weights.h, model/sequences.h and model/adapters.h; feeds model/bovila.h.
// SPEC 2.
//
// One forward serves training, evaluation and option scoring. It returns hidden states, not logits:
// heads of 32,000 rows are applied by the caller where something is scored, and nowhere else. The
// last layer too computes queries and the feed-forward part only for the wanted positions.
#pragma once

#include <span>

#include "bovila/dist/communicator.h"
#include "bovila/dist/libtorch.h"
#include "bovila/model/adapter_attention.h"
#include "bovila/model/sequences.h"
#include "bovila/weights/llama_weights.h"

namespace bovila {

class Llama {
 public:
  /// `recompute`: a layer keeps its input only and is computed again in the backward pass, to the
  /// same bits; a third more work for a fraction of the memory. `group`: the ranks that hold the
  /// parts of these weights, in their order; null where they are whole. It has to outlive the
  /// model, whose forward and backward passes are collective over it: all of its ranks pass the
  /// same tokens.
  explicit Llama(LlamaWeights weights, bool recompute = false, Communicator* group = nullptr);

  const LlamaParams& params() const { return weights_.params; }
  const LlamaWeights& weights() const { return weights_; }
  torch::Device device() const { return weights_.tok_embeddings.device(); }
  /// Null where the weights are whole.
  Communicator* group() const { return group_; }
  torch::ScalarType precision() const { return weights_.tok_embeddings.scalar_type(); }

  /// Token embeddings [..., D] of ids [...]; no gradient.
  torch::Tensor embed(const torch::Tensor& ids) const;
  /// Hidden states after the final norm of the wanted tokens, [U, D] (Sequences::outputs). x_TD:
  /// embeddings; `adapters`: one entry a layer, undefined where a layer has none.
  torch::Tensor forward(torch::Tensor x_TD, const Sequences& sequences,
                        std::span<const AdapterSlots> adapters) const;
  /// Vocabulary logits [N, V] in fp32 of hidden states [N, D].
  torch::Tensor logits(const torch::Tensor& hidden_ND) const;

 private:
  LlamaWeights weights_;
  bool recompute_;
  Communicator* group_;
};

}  // namespace bovila
