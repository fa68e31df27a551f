// Meta's params.json.
#include <fstream>
#include <sstream>

#include "src/weights/params_json.h"
#include "src/weights/params_readers.h"

namespace bovila {
namespace {

/// use_scaled_rope stands for LLaMA-3.1's numbers, which Meta's program has as constants.
RopeScaling read_meta_scaling(const ParamsJson& params) {
  RopeScaling scaling;
  if (!params.optional("use_scaled_rope", false)) return scaling;
  scaling.kind = RopeScaling::Kind::kLlama3;
  scaling.factor = 8;
  return scaling;
}

ParamsJson open_params(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    throw UserError(
        "{} cannot be read; model.llama must be a folder with Meta's params.json and "
        "consolidated.NN.pth, with Hugging Face's config.json and safetensors, or made by "
        "tools/llama2bovila",
        path);
  }
  std::ostringstream text;
  text << file.rdbuf();
  return {path, text.str()};
}

}  // namespace

LlamaParams read_meta_params(const std::string& folder, int64_t tokenizer_vocab_size) {
  const ParamsJson params = open_params(folder + "/params.json");
  LlamaParams out;
  out.dim = params.required<int64_t>("dim");
  out.n_layers = params.required<int64_t>("n_layers");
  out.n_heads = params.required<int64_t>("n_heads");
  out.n_kv_heads = params.optional("n_kv_heads", out.n_heads);
  out.multiple_of = params.optional("multiple_of", out.multiple_of);
  out.ffn_dim_multiplier = params.optional("ffn_dim_multiplier", out.ffn_dim_multiplier);
  out.norm_eps = params.optional("norm_eps", out.norm_eps);
  out.rope_theta = params.optional("rope_theta", out.rope_theta);
  out.rope_scaling = read_meta_scaling(params);
  out.vocab_size = params.optional<int64_t>("vocab_size", -1);
  if (out.vocab_size == -1) out.vocab_size = tokenizer_vocab_size;
  check_params(out, params.path(), tokenizer_vocab_size);
  return out;
}

}  // namespace bovila
