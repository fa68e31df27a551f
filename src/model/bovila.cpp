// Embeddings with the video in place, through the LLaMA.
#include "bovila/model/bovila.h"

#include <fmt/format.h>

#include <utility>

#include "bovila/model/frozen_linear.h"
#include "bovila/model/video_embedding.h"

namespace bovila {

std::vector<AdapterSlots> Bovila::adapter_slots() const {
  const LlamaParams& p = llama_.params();
  std::vector<AdapterSlots> slots(static_cast<size_t>(p.n_layers));
  const int64_t first = parameters_.first_adapted_layer();
  const auto per_layer =
      parameters_.query().to(llama_.precision()).view({p.n_layers - first, -1, p.dim});
  // [A, kv heads * d] to [H, A, d]
  const auto heads = [&](const torch::Tensor& x) {
    const auto grouped = x.unflatten(-1, {-1, p.head_dim()});
    return grouped.repeat_interleave(p.n_heads / p.n_kv_heads, 1).transpose(0, 1);
  };
  const LlamaPart& part = llama_.weights().part;
  const auto gate = [&](const torch::Tensor& all) {
    return all.view(-1).narrow(0, part.first_of(p.n_heads), part.size_of(p.n_heads));
  };
  for (int64_t layer = first; layer < p.n_layers; ++layer) {
    const LlamaLayerWeights& weights = llama_.weights().layers[static_cast<size_t>(layer)];
    const auto a = per_layer[layer - first];  // [A, D]
    const auto kv = frozen_linear(a, weights.wkv()).chunk(2, -1);
    slots[static_cast<size_t>(layer)] = {heads(kv[0]), heads(kv[1]), gate(parameters_.gate1(layer)),
                                         gate(parameters_.gate2(layer))};
  }
  return slots;
}

void Bovila::complete_gradient() {
  if (llama_.group() == nullptr) return;
  for (torch::Tensor& gradient : parameters_.gradients_of_heads()) {
    llama_.group()->all_reduce(gradient, ReduceOp::kSum);
  }
}

torch::Tensor Bovila::project(const torch::Tensor& frames_BFC) const {
  return project_frames(frames_BFC, parameters_, llama_.precision());
}

torch::Tensor Bovila::place(const torch::Tensor& projected_BFD) const {
  return video_tokens(projected_BFD, parameters_);
}

torch::Tensor Bovila::hidden(const Sequences& sequences, const torch::Tensor& video_BFD,
                             std::span<const AdapterSlots> adapters,
                             const Overlay& self_question) const {
  auto x_TD = llama_.embed(sequences.tokens);
  x_TD = x_TD.index_copy(0, sequences.video_slots, video_BFD.flatten(0, 1));
  if (self_question.tokens.defined()) {
    x_TD = x_TD.index_copy(0, self_question.tokens, self_question.values);
  }
  return llama_.forward(x_TD, sequences, adapters);
}

namespace {

bool all_finite(const torch::Tensor& values) {
  return values.isfinite().all().item<bool>();
}

/// In a form of integers the scales are what may not be.
bool all_finite(const FrozenMatrix& matrix) {
  if (matrix.is_floating()) return all_finite(matrix.values);
  return all_finite(matrix.has_double_scales() ? matrix.scale_scales : matrix.scales);
}

/// Name of the first frozen weight with a number that is not finite, or "".
std::string spoilt_weight(const LlamaWeights& weights) {
  const auto name_of_layer = [](const LlamaLayerWeights& layer) -> std::string {
    if (!all_finite(layer.attention_norm)) return "attention_norm";
    if (!all_finite(layer.wqkv)) return "wq, wk or wv";
    if (!all_finite(layer.wo)) return "wo";
    if (!all_finite(layer.ffn_norm)) return "ffn_norm";
    if (!all_finite(layer.w13)) return "w1 or w3";
    return all_finite(layer.w2) ? "" : "w2";
  };
  if (!all_finite(weights.tok_embeddings)) return "tok_embeddings";
  for (size_t i = 0; i < weights.layers.size(); ++i) {
    const std::string name = name_of_layer(weights.layers[i]);
    if (!name.empty()) return fmt::format("{} of layer {}", name, i);
  }
  if (!all_finite(weights.norm)) return "norm";
  return all_finite(weights.output) ? "" : "output";
}

}  // namespace

std::string advice_for_non_finite(const Bovila& model, const std::string& otherwise) {
  const torch::NoGradGuard no_grad;
  const std::string weight = spoilt_weight(model.llama().weights());
  if (!weight.empty()) {
    return fmt::format(
        "The files of model.llama hold it: {} is not finite in this precision. Get them again, or "
        "set model.precision = \"fp32\" where they are fp32",
        weight);
  }
  for (const NamedParameter& entry : model.parameters().names()) {
    const auto values = model.parameters().flat().narrow(0, entry.offset, entry.numel);
    if (!all_finite(values)) {
      return fmt::format(
          "The trained parameter '{}' is not finite: an earlier update was too large. {}",
          entry.name, otherwise);
    }
  }
  return otherwise;
}

}  // namespace bovila
