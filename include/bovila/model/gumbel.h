// Gumbel-softmax: how the model asks itself a question and gradients still pass (SPEC 5).
// Fed by VAQ logits and a named random stream; feeds model/bovila.h with soft-chosen embeddings.
//
// Legend: M question tokens, V vocabulary, D width.
#pragma once

#include "bovila/dist/libtorch.h"

namespace bovila {

/// Standard Gumbel noise [num_tokens, vocab_size], fp32 on the CPU, from the stream with this key.
torch::Tensor gumbel_noise(int64_t num_tokens, int64_t vocab_size, uint64_t key);

/// Rows of `embeddings_VD` chosen by argmax(logits + noise); the gradient goes to the logits as if
/// the choice were softmax(logits + noise) (straight-through, temperature 1). Returns [M, D] in the
/// embeddings' type; `embeddings_VD` is frozen.
torch::Tensor gumbel_choose(const torch::Tensor& logits_MV, const torch::Tensor& noise_MV,
                            const torch::Tensor& embeddings_VD);

}  // namespace bovila
