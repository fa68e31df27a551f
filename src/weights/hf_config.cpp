// Hugging Face's config.json: sizes, and a refusal of all that is not computed as LLaMA.
#include <algorithm>

#include "src/weights/params_json.h"
#include "src/weights/params_readers.h"

namespace bovila {
namespace {

using nlohmann::json;
using Kind = RopeScaling::Kind;

[[noreturn]] void refuse(const ParamsJson& config, const std::string& what) {
  throw UserError("{}: {}; only models that are computed as LLaMA can be used", config.path(),
                  what);
}

void check_architecture(const ParamsJson& config) {
  const auto type = config.required<std::string>("model_type");
  if (type != "llama" && type != "mistral") {
    refuse(config, fmt::format("model_type is '{}', expected 'llama' or 'mistral'", type));
  }
  for (const char* bias : {"attention_bias", "mlp_bias"}) {
    if (config.optional(bias, false)) refuse(config, fmt::format("{} is true", bias));
  }
  const auto activation = config.optional<std::string>("hidden_act", "silu");
  if (activation != "silu") refuse(config, fmt::format("hidden_act is '{}'", activation));
  if (config.has("quantization_config")) refuse(config, "its weights are quantized");
}

void check_head_dim(const ParamsJson& config, const LlamaParams& params) {
  const auto head_dim = config.optional<int64_t>("head_dim", 0);
  if (head_dim == 0 || params.n_heads <= 0) return;
  if (params.dim % params.n_heads == 0 && head_dim == params.head_dim()) return;
  refuse(config, fmt::format("head_dim is {}, but hidden_size {} / num_attention_heads {} is {}",
                             head_dim, params.dim, params.n_heads, params.head_dim()));
}

RopeScaling read_hf_scaling(const ParamsJson& rope) {
  RopeScaling scaling;
  const auto type =
      rope.optional<std::string>("rope_type", rope.optional<std::string>("type", "default"));
  if (type == "default") return scaling;
  if (type == "dynamic") return scaling;  // up to max_position_embeddings: see read_hf_config
  if (type != "linear" && type != "llama3") {
    refuse(rope, fmt::format("rope_type is '{}', expected 'default', 'linear', 'dynamic' or "
                             "'llama3'",
                             type));
  }
  scaling.factor = rope.required<double>("factor");
  scaling.kind = type == "linear" ? Kind::kLinear : Kind::kLlama3;
  if (scaling.kind == Kind::kLinear) return scaling;
  scaling.low = rope.required<double>("low_freq_factor");
  scaling.high = rope.required<double>("high_freq_factor");
  scaling.original_length = rope.required<double>("original_max_position_embeddings");
  return scaling;
}

bool is_dynamic(const ParamsJson& rope) {
  return rope.optional<std::string>("rope_type", rope.optional<std::string>("type", "")) ==
         "dynamic";
}

/// A length up to which the model is computed as LLaMA; none is no limit.
void limit_length(const ParamsJson& config, const char* key, LlamaParams& params) {
  const auto length = config.required<int64_t>(key);
  if (length <= 0) refuse(config, fmt::format("{} is {}", key, length));
  params.max_length = params.max_length == 0 ? length : std::min(params.max_length, length);
}

/// Since version 5 transformers writes all of it under rope_parameters, before that the base beside
/// rope_scaling.
void read_rope(const ParamsJson& config, LlamaParams& params) {
  params.rope_theta = config.optional("rope_theta", params.rope_theta);
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    if (!config.has(key)) continue;
    const ParamsJson rope = config.object(key);
    params.rope_theta = rope.optional("rope_theta", params.rope_theta);
    params.rope_scaling = read_hf_scaling(rope);
    if (is_dynamic(rope)) limit_length(config, "max_position_embeddings", params);
    if (rope.optional("partial_rotary_factor", 1.0) != 1) {
      refuse(rope, "partial_rotary_factor is not 1");
    }
    return;
  }
}

}  // namespace

LlamaParams read_hf_config(const ParamsJson& config, int64_t tokenizer_vocab_size) {
  check_architecture(config);
  LlamaParams out;
  out.dim = config.required<int64_t>("hidden_size");
  out.n_layers = config.required<int64_t>("num_hidden_layers");
  out.n_heads = config.required<int64_t>("num_attention_heads");
  out.n_kv_heads = config.optional("num_key_value_heads", out.n_heads);
  out.given_hidden_dim = config.required<int64_t>("intermediate_size");
  if (out.given_hidden_dim <= 0) refuse(config, "intermediate_size is not positive");
  out.norm_eps = config.optional("rms_norm_eps", 1e-6);  // transformers' default
  out.vocab_size = config.required<int64_t>("vocab_size");
  out.tied_embeddings = config.optional("tie_word_embeddings", false);
  read_rope(config, out);
  // A window sees all of a sequence that is no longer.
  const bool has_window =
      config.required<std::string>("model_type") == "mistral" && config.has("sliding_window");
  if (has_window) limit_length(config, "sliding_window", out);
  check_head_dim(config, out);
  check_params(out, config.path(), tokenizer_vocab_size);
  return out;
}

std::string to_hf_config(const LlamaParams& params) {
  const RopeScaling& scaling = params.rope_scaling;
  json rope = {{"rope_theta", params.rope_theta}, {"rope_type", "default"}};
  if (scaling.kind != Kind::kNone) rope["factor"] = scaling.factor;
  if (scaling.kind == Kind::kLinear) rope["rope_type"] = "linear";
  if (scaling.kind == Kind::kLlama3) {
    rope["rope_type"] = "llama3";
    rope["low_freq_factor"] = scaling.low;
    rope["high_freq_factor"] = scaling.high;
    rope["original_max_position_embeddings"] = scaling.original_length;
  }
  json config = {{"model_type", params.max_length > 0 ? "mistral" : "llama"},
                 {"hidden_size", params.dim},
                 {"num_hidden_layers", params.n_layers},
                 {"num_attention_heads", params.n_heads},
                 {"num_key_value_heads", params.n_kv_heads},
                 {"intermediate_size", params.hidden_dim()},
                 {"rms_norm_eps", params.norm_eps},
                 {"vocab_size", params.vocab_size},
                 {"tie_word_embeddings", params.tied_embeddings},
                 {"rope_parameters", rope}};
  if (params.max_length > 0) config["sliding_window"] = params.max_length;
  return config.dump();
}

}  // namespace bovila
