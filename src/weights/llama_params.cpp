// Sizes, whatever file they come from: SwiGLU's width, and what makes no model.
#include "bovila/weights/llama_params.h"

#include <algorithm>

#include "bovila/core/error.h"
#include "bovila/core/log.h"
#include "src/weights/params_readers.h"

namespace bovila {
namespace {

/// Far above every model, and low enough that products of two sizes do not overflow.
constexpr int64_t kMaxSize = 1 << 24;
constexpr int64_t kMaxLayers = 1 << 12;
constexpr double kMaxMultiplier = 1 << 10;

/// Rows that a model may have beyond its tokenizer's pieces: reserved ones, and padding. DeepSeek's
/// LLaMA has 2,385; what is beyond any model's is another model's tokenizer.
constexpr int64_t kMaxSpareRows = 8192;
constexpr int64_t kUsualSpareRows = 1024;

void check_tokenizer(int64_t vocab_size, int64_t pieces, const std::string& path) {
  if (vocab_size > pieces + kUsualSpareRows && vocab_size <= pieces + kMaxSpareRows) {
    log::info(
        "{}: vocab_size is {}, the tokenizer has {} pieces: {} rows are of no token. If this is "
        "another model's tokenizer, set model.tokenizer",
        path, vocab_size, pieces, vocab_size - pieces);
  }
  if (vocab_size >= pieces && vocab_size <= pieces + kMaxSpareRows) return;
  throw UserError(
      "{}: vocab_size is {}, but the tokenizer has {} pieces; it belongs to another model", path,
      vocab_size, pieces);
}

void check_scaling(const RopeScaling& scaling, const std::string& path) {
  if (scaling.factor > 0 && scaling.original_length > 0 && scaling.low > 0 &&
      scaling.high > scaling.low) {
    return;
  }
  throw UserError(
      "{}: the scaling of the rotary frequencies needs a positive factor and length, and a high "
      "frequency factor above the low one",
      path);
}

}  // namespace

int64_t LlamaParams::hidden_dim() const {
  if (given_hidden_dim > 0) return given_hidden_dim;
  const int64_t plain = 8 * dim / 3;  // rounded down, as Meta's program does
  const auto wide = static_cast<int64_t>(ffn_dim_multiplier * static_cast<double>(plain));
  return multiple_of * ((wide + multiple_of - 1) / multiple_of);
}

int64_t LlamaParams::num_in_layers() const {
  const int64_t attention = 2 * dim * (dim + kv_dim());  // wq, wo; wk, wv
  const int64_t feed_forward = 3 * dim * hidden_dim();
  return n_layers * (attention + feed_forward);
}

void check_params(const LlamaParams& params, const std::string& path,
                  int64_t tokenizer_vocab_size) {
  const auto require = [&](bool ok, const char* what) {
    if (!ok) throw UserError("{}: {}", path, what);
  };
  require(std::max({params.dim, params.n_heads, params.n_kv_heads, params.multiple_of,
                    params.given_hidden_dim, params.vocab_size}) <= kMaxSize &&
              params.n_layers <= kMaxLayers && params.ffn_dim_multiplier <= kMaxMultiplier,
          "the sizes are beyond those of any LLaMA");
  require(params.dim > 0 && params.n_layers > 0 && params.n_heads > 0 && params.multiple_of > 0 &&
              params.n_kv_heads > 0,
          "dim, n_layers, n_heads, n_kv_heads and multiple_of must be positive");
  require(params.dim % (2 * params.n_heads) == 0,
          "dim must be n_heads times an even head width (rotary embeddings turn pairs)");
  require(params.n_heads % params.n_kv_heads == 0, "n_heads must be a multiple of n_kv_heads");
  require(params.norm_eps > 0 && params.rope_theta > 0 && params.ffn_dim_multiplier > 0,
          "norm_eps, rope_theta and ffn_dim_multiplier must be positive");
  check_scaling(params.rope_scaling, path);
  check_tokenizer(params.vocab_size, tokenizer_vocab_size, path);
}

}  // namespace bovila
