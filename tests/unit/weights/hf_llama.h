// The tiny LLaMA as Hugging Face's files, and weights that must be the same.
// Fed by tests/unit/model/tiny_llama.h; for the tests of forms of weights.
#pragma once

#include <nlohmann/json.hpp>

#include "src/weights/quant_state.h"
#include "tests/unit/files/safetensors_builder.h"
#include "tests/unit/model/tiny_llama.h"
#include "tests/unit/weights/stored.h"

namespace bovila::testing {

/// The rows of each head in two halves instead of pairs.
inline torch::Tensor to_halves(const torch::Tensor& rows, int64_t heads) {
  return rows.unflatten(0, {heads, -1, 2}).transpose(1, 2).flatten(0, 2).contiguous();
}

/// meta_tensors() under Hugging Face's names and in its layout.
inline Tensors hf_tensors(const LlamaParams& p) {
  const Tensors meta = meta_tensors(p);
  Tensors tensors = {{"model.embed_tokens.weight", meta.at("tok_embeddings.weight")},
                     {"model.norm.weight", meta.at("norm.weight")},
                     {"lm_head.weight", meta.at("output.weight")}};
  for (int64_t l = 0; l < p.n_layers; ++l) {
    const auto add = [&](const char* name, const char* metas) -> torch::Tensor& {
      return tensors[fmt::format("model.layers.{}.{}.weight", l, name)] =
                 meta.at(fmt::format("layers.{}.{}.weight", l, metas));
    };
    add("input_layernorm", "attention_norm");
    add("post_attention_layernorm", "ffn_norm");
    torch::Tensor& q = add("self_attn.q_proj", "attention.wq");
    q = to_halves(q, p.n_heads);
    torch::Tensor& k = add("self_attn.k_proj", "attention.wk");
    k = to_halves(k, p.n_kv_heads);
    add("self_attn.v_proj", "attention.wv");
    add("self_attn.o_proj", "attention.wo");
    add("mlp.gate_proj", "feed_forward.w1");
    add("mlp.down_proj", "feed_forward.w2");
    add("mlp.up_proj", "feed_forward.w3");
  }
  return tensors;
}

inline std::string safetensors_of(const Tensors& tensors) {
  const auto type_name = [](torch::ScalarType type) -> std::string {
    if (type == torch::kBFloat16) return "BF16";
    if (type == torch::kInt64) return "I64";
    if (type == torch::kInt8) return "I8";
    if (type == torch::kUInt8) return "U8";
    return type == torch::kFloat16 ? "F16" : "F32";
  };
  std::vector<SafeEntry> entries;
  for (const auto& [name, tensor] : tensors) {
    const auto values = tensor.contiguous();
    entries.push_back({name,
                       type_name(values.scalar_type()),
                       values.sizes().vec(),
                       {static_cast<const char*>(values.data_ptr()), values.nbytes()}});
  }
  return safetensors(entries, {{"format", "pt"}});
}

/// The layers' matrices of hf_tensors() in one of bitsandbytes' forms, as transformers saves them.
inline Tensors quantised(Tensors tensors, WeightForm form) {
  for (const auto& [name, numbers] : Tensors(tensors)) {
    if (!name.ends_with("_proj.weight")) continue;
    const std::string layer = name.substr(0, name.rfind(".weight"));
    const FrozenMatrix to = stored(numbers, form);
    if (form == WeightForm::kInt8) {
      tensors[name] = to.values;
      tensors[layer + ".SCB"] = to.scales;
      tensors[layer + ".weight_format"] = torch::zeros({}, torch::kUInt8);
      continue;
    }
    QuantState state{numbers.size(0), numbers.size(1), "float16", {}};
    if (to.has_double_scales()) {
      state.nested_offset = to.scale_mean.item<float>();
      tensors[name + ".nested_quant_map"] = to.scale_map;
      tensors[name + ".nested_absmax"] = to.scale_scales;
    }
    tensors[name] = to.values.view({-1, 1});
    tensors[name + ".absmax"] = to.scales.flatten();
    tensors[name + ".quant_map"] =
        torch::tensor(std::vector<float>(cpu::nf4_values(), cpu::nf4_values() + 16));
    const std::string text = quant_state_text(state);
    tensors[name + ".quant_state.bitsandbytes__nf4"] =
        torch::tensor(std::vector<uint8_t>(text.begin(), text.end()), torch::kUInt8);
  }
  return tensors;
}

inline nlohmann::json config_of(const LlamaParams& p) {
  return {{"model_type", "llama"},
          {"hidden_size", p.dim},
          {"intermediate_size", p.hidden_dim()},
          {"num_hidden_layers", p.n_layers},
          {"num_attention_heads", p.n_heads},
          {"num_key_value_heads", p.n_kv_heads},
          {"rms_norm_eps", p.norm_eps},
          {"vocab_size", p.vocab_size},
          {"tie_word_embeddings", p.tied_embeddings}};
}

/// config.json and model.safetensors.
inline void write_hf(const TempFolder& folder, const LlamaParams& p, const Tensors& tensors) {
  folder.write("config.json", config_of(p).dump());
  folder.write("model.safetensors", safetensors_of(tensors));
}

/// Stored in one form, to the bit.
inline void check_same(const FrozenMatrix& got, const FrozenMatrix& expected) {
  CHECK(torch::equal(got.values, expected.values));
  REQUIRE(got.scales.defined() == expected.scales.defined());
  if (got.scales.defined()) CHECK(torch::equal(got.plain_scales(), expected.plain_scales()));
}

inline void check_same(const LlamaWeights& got, const LlamaWeights& expected) {
  CHECK(torch::equal(got.tok_embeddings, expected.tok_embeddings));
  CHECK(torch::equal(got.norm, expected.norm));
  CHECK(torch::equal(got.output, expected.output));
  REQUIRE(got.layers.size() == expected.layers.size());
  for (size_t l = 0; l < got.layers.size(); ++l) {
    CAPTURE(l);
    const LlamaLayerWeights &a = got.layers[l], &b = expected.layers[l];
    CHECK(torch::equal(a.attention_norm, b.attention_norm));
    check_same(a.wqkv, b.wqkv);
    check_same(a.wo, b.wo);
    CHECK(torch::equal(a.ffn_norm, b.ffn_norm));
    check_same(a.w13, b.w13);
    check_same(a.w2, b.w2);
  }
}

}  // namespace bovila::testing
