// params.json, checked key by key.
#include "bovila/model/llama_params.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "bovila/core/error.h"

namespace bovila {
namespace {

using nlohmann::json;

template <typename Number>
Number number(const json& params, const std::string& path, const char* key, Number fallback,
              bool required) {
  const auto found = params.find(key);
  if (found == params.end() || found->is_null()) {
    if (required) throw UserError("{}: the key '{}' is missing", path, key);
    return fallback;
  }
  const bool fits = std::is_integral_v<Number> ? found->is_number_integer() : found->is_number();
  if (!fits) throw UserError("{}: '{}' must be a number, got {}", path, key, found->dump());
  return found->get<Number>();
}

/// Far above every model, and low enough that products of two sizes do not overflow.
constexpr int64_t kMaxSize = 1 << 24;
constexpr int64_t kMaxLayers = 1 << 12;
constexpr double kMaxMultiplier = 1 << 10;

void check(const LlamaParams& params, const std::string& path, int64_t tokenizer_vocab_size) {
  const auto require = [&](bool ok, const char* what) {
    if (!ok) throw UserError("{}: {}", path, what);
  };
  require(std::max({params.dim, params.n_heads, params.n_kv_heads, params.multiple_of,
                    params.vocab_size}) <= kMaxSize &&
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
  if (params.vocab_size < tokenizer_vocab_size) {
    throw UserError(
        "{}: vocab_size is {}, but the tokenizer has {} pieces; it belongs to another model", path,
        params.vocab_size, tokenizer_vocab_size);
  }
}

}  // namespace

int64_t LlamaParams::hidden_dim() const {
  const auto wide = static_cast<int64_t>(ffn_dim_multiplier * static_cast<double>(8 * dim / 3));
  return multiple_of * ((wide + multiple_of - 1) / multiple_of);
}

LlamaParams read_llama_params(const std::string& folder, int64_t tokenizer_vocab_size) {
  const std::string path = folder + "/params.json";
  std::ifstream file(path);
  if (!file) {
    throw UserError("{} cannot be read; model.llama must be a folder with Meta's params.json",
                    path);
  }
  const json params = json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (!params.is_object()) throw UserError("{} is not a JSON object", path);

  LlamaParams out;
  out.dim = number<int64_t>(params, path, "dim", 0, true);
  out.n_layers = number<int64_t>(params, path, "n_layers", 0, true);
  out.n_heads = number<int64_t>(params, path, "n_heads", 0, true);
  out.n_kv_heads = number<int64_t>(params, path, "n_kv_heads", out.n_heads, false);
  out.multiple_of = number<int64_t>(params, path, "multiple_of", out.multiple_of, false);
  out.ffn_dim_multiplier = number<double>(params, path, "ffn_dim_multiplier", 1, false);
  out.norm_eps = number<double>(params, path, "norm_eps", out.norm_eps, false);
  out.rope_theta = number<double>(params, path, "rope_theta", out.rope_theta, false);
  out.vocab_size = number<int64_t>(params, path, "vocab_size", -1, false);
  if (out.vocab_size == -1) out.vocab_size = tokenizer_vocab_size;
  check(out, path, tokenizer_vocab_size);
  return out;
}

}  // namespace bovila
