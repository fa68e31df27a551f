// A tiny LLaMA with random weights as Meta's files, in one part or several, and BoViLA on it.
// Fed by tests/unit/files/pth_builder.h and weights/llama_weights.h; for the tests of the model.
#pragma once

#include <fmt/format.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bovila/dist/libtorch.h"
#include "bovila/model/bovila.h"
#include "tests/unit/files/pth_builder.h"
#include "tests/unit/temp_folder.h"

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

/// D 64, L 3, H 4, V 24, SwiGLU's width 128: whole blocks of NF4.
inline LlamaParams block_params(int64_t n_kv_heads = 2) {
  LlamaParams params = tiny_params(n_kv_heads);
  params.dim = 64;
  params.given_hidden_dim = 128;
  return params;
}

/// The forms that a matrix of fp32 can have.
inline constexpr WeightForm kSmallForms[] = {
    WeightForm::kBf16, WeightForm::kFp16, WeightForm::kInt8, WeightForm::kNf4, WeightForm::kNf4Dq};

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

inline const char* storage_name(torch::ScalarType type) {
  switch (type) {
    case torch::kFloat16:
      return "HalfStorage";
    case torch::kBFloat16:
      return "BFloat16Storage";
    case torch::kFloat64:
      return "DoubleStorage";
    case torch::kInt64:
      return "LongStorage";
    default:
      return "FloatStorage";
  }
}

/// A .pth with a dict of these tensors.
inline void write_tensors(const std::string& path, const Tensors& tensors) {
  std::vector<std::pair<std::string, std::string>> items;
  std::vector<std::string> storages;
  for (const auto& [name, tensor] : tensors) {
    const auto values = tensor.contiguous();
    items.emplace_back(name, test::tensor({.shape = values.sizes().vec(),
                                           .type = storage_name(values.scalar_type()),
                                           .key = std::to_string(storages.size())}));
    storages.emplace_back(static_cast<const char*>(values.data_ptr()), values.nbytes());
  }
  test::write_pth(path, test::dict(items), storages);
}

/// Part `part` of `parts` of a tensor, cut as SPEC 8 says.
inline torch::Tensor part_of(const std::string& name, const torch::Tensor& tensor, int64_t part,
                             int64_t parts) {
  if (name.find("norm") != std::string::npos) return tensor;
  const bool columns = name.ends_with("tok_embeddings.weight") || name.ends_with("wo.weight") ||
                       name.ends_with("w2.weight");
  return tensor.chunk(parts, columns ? 1 : 0)[static_cast<size_t>(part)];
}

inline std::string part_path(const std::string& folder, int64_t part) {
  return fmt::format("{}/consolidated.{:02}.pth", folder, part);
}

inline void write_parts(const std::string& folder, const Tensors& tensors, int64_t parts = 1) {
  for (int64_t part = 0; part < parts; ++part) {
    Tensors own;
    for (const auto& [name, tensor] : tensors) own[name] = part_of(name, tensor, part, parts);
    write_tensors(part_path(folder, part), own);
  }
}

/// The tensors as the program holds them: written to a file and read from it.
inline LlamaWeights weights_of(const LlamaParams& params, const Tensors& tensors,
                               const WeightTypes& types = torch::kFloat32) {
  const TempFolder folder;
  write_parts(folder.path(), tensors);
  return load_llama_weights(folder.path(), params, types);
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
                          bool train_scale_proj = false,
                          const WeightTypes& types = torch::kFloat32) {
  AdapterParameters parameters(params, tiny_model(adapter_layers), train_scale_proj, /*seed=*/5,
                               torch::kCPU);
  for (const NamedParameter& entry : parameters.names()) {
    if (!entry.name.ends_with("gate1")) continue;
    parameters.assign(entry.name, torch::linspace(0.2, 0.9, entry.numel).view(entry.shape));
  }
  return {Llama(weights_of(params, meta_tensors(params), types)), std::move(parameters)};
}

}  // namespace bovila::testing
