// Sizes of a LLaMA, as the file beside its weights says them.
// Fed by the weights folder; feeds weights/llama_weights.h (shapes) and model/llama.h.
#pragma once

#include <cstdint>
#include <string>

#include "bovila/weights/rope_scaling.h"

namespace bovila {

struct LlamaParams {
  int64_t dim = 0;         ///< D, model width
  int64_t n_layers = 0;    ///< L
  int64_t n_heads = 0;     ///< H, query heads
  int64_t n_kv_heads = 0;  ///< key and value heads; n_heads unless grouped
  int64_t multiple_of = 256;
  double ffn_dim_multiplier = 1;
  int64_t given_hidden_dim = 0;  ///< SwiGLU's width where it is given; 0: the two above give it
  double norm_eps = 1e-5;
  double rope_theta = 10000;
  RopeScaling rope_scaling;
  int64_t vocab_size = -1;       ///< V; -1 until the tokenizer's is filled in
  bool tied_embeddings = false;  ///< the output matrix is the embedding table
  int64_t max_length = 0;        ///< longer sequences are computed otherwise than here; 0: none is

  int64_t head_dim() const { return dim / n_heads; }
  int64_t kv_dim() const { return head_dim() * n_kv_heads; }
  /// SwiGLU's width; where it is not given, as SPEC 2 has it:
  /// multiple_of * ceil(int(ffn_dim_multiplier * int(8D/3)) / multiple_of).
  int64_t hidden_dim() const;
  /// Numbers in the matrices of all layers.
  int64_t num_in_layers() const;
};

/// Reads what the folder holds: Meta's params.json, Hugging Face's config.json, or the program's
/// own file (weights/llama_weights.h). A vocab_size of -1 becomes the tokenizer's, which is
/// Tokenizer::prompt_vocab_size().
/// @throws UserError naming the file and key when something is missing or makes no sense, and when
/// the tokenizer is another model's.
LlamaParams read_llama_params(const std::string& folder, int64_t tokenizer_vocab_size);

}  // namespace bovila
