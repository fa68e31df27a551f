// A tiny LLaMA with random weights, made in memory or as Meta's files, for the tests of the model.
// Fed by model/llama_weights.h; the files are made with tests/unit/data/pth_builder.h.
#pragma once

#include <fmt/format.h>
#include <torch/torch.h>

#include <map>
#include <string>
#include <vector>

#include "bovila/model/bovila.h"

namespace bovila::testing {

/// D 16, L 3, H 4, V 24; SwiGLU's width is 48.
inline LlamaParams tiny_params(int64_t n_kv_heads = 4) {
  LlamaParams params;
  params.dim = 16;
  params.n_layers = 3;
  params.n_heads = 4;
  params.n_kv_heads = n_kv_heads;
  params.multiple_of = 16;
  params.vocab_size = 24;
  return params;
}

using Tensors = std::map<std::string, torch::Tensor>;

/// Random tensors under Meta's names, norms near 1, the others such that activations stay near 1.
inline Tensors meta_tensors(const LlamaParams& p) {
  torch::manual_seed(11);
  const auto matrix = [](int64_t rows, int64_t columns) {
    return torch::randn({rows, columns}) / std::sqrt(static_cast<double>(columns));
  };
  const auto norm = [&] { return 1 + 0.1 * torch::randn({p.dim}); };
  Tensors tensors = {{"tok_embeddings.weight", torch::randn({p.vocab_size, p.dim})},
                     {"norm.weight", norm()},
                     {"output.weight", matrix(p.vocab_size, p.dim)}};
  for (int64_t l = 0; l < p.n_layers; ++l) {
    const auto name = [&](const char* part) { return fmt::format("layers.{}.{}.weight", l, part); };
    tensors[name("attention_norm")] = norm();
    tensors[name("ffn_norm")] = norm();
    tensors[name("attention.wq")] = matrix(p.dim, p.dim);
    tensors[name("attention.wk")] = matrix(p.kv_dim(), p.dim);
    tensors[name("attention.wv")] = matrix(p.kv_dim(), p.dim);
    tensors[name("attention.wo")] = matrix(p.dim, p.dim);
    tensors[name("feed_forward.w1")] = matrix(p.hidden_dim(), p.dim);
    tensors[name("feed_forward.w2")] = matrix(p.dim, p.hidden_dim());
    tensors[name("feed_forward.w3")] = matrix(p.hidden_dim(), p.dim);
  }
  return tensors;
}

/// The same tensors as the program holds them.
inline LlamaWeights weights_of(const LlamaParams& params, const Tensors& tensors,
                               torch::ScalarType type = torch::kFloat32) {
  LlamaWeights weights;
  weights.params = params;
  const auto take = [&](const std::string& name) { return tensors.at(name + ".weight").to(type); };
  weights.tok_embeddings = take("tok_embeddings");
  weights.norm = take("norm");
  weights.output = take("output");
  for (int64_t l = 0; l < params.n_layers; ++l) {
    const auto part = [&](const char* name) { return take(fmt::format("layers.{}.{}", l, name)); };
    weights.layers.push_back(
        {part("attention_norm"),
         torch::cat({part("attention.wq"), part("attention.wk"), part("attention.wv")}),
         part("attention.wo"), part("ffn_norm"),
         torch::cat({part("feed_forward.w1"), part("feed_forward.w3")}), part("feed_forward.w2")});
  }
  return weights;
}

/// F 3 frames, A 4 slots.
inline ModelConfig tiny_model(int64_t adapter_layers = 3) {
  ModelConfig config;
  config.max_feats = 3;
  config.max_seq_len = 64;
  config.adapter_len = 4;
  config.adapter_layers = adapter_layers;
  config.attention_bias = 1.5;
  return config;
}

/// BoViLA on it with open gates: every part of the method has an effect.
inline Bovila tiny_bovila(const LlamaParams& params = tiny_params(), int64_t adapter_layers = 3,
                          bool train_scale_proj = false, torch::ScalarType type = torch::kFloat32) {
  AdapterParameters parameters(params, tiny_model(adapter_layers), train_scale_proj, /*seed=*/5,
                               torch::kCPU);
  for (const NamedParameter& entry : parameters.names()) {
    if (!entry.name.ends_with("gate1")) continue;
    parameters.assign(entry.name, torch::linspace(0.2, 0.9, entry.numel).view(entry.shape));
  }
  return {Llama(weights_of(params, meta_tensors(params), type)), std::move(parameters)};
}

}  // namespace bovila::testing
