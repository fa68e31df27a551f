// Every tensor of a LLaMA, one after the other.
#include "bovila/weights/llama_copy.h"

namespace bovila {

using torch::Tensor;

LlamaWeights copy_of(const LlamaWeights& weights, torch::Device device,
                     torch::ScalarType precision) {
  const torch::NoGradGuard no_grad;
  const auto copied = [&](const Tensor& tensor) {
    return tensor.to(device, precision, /*non_blocking=*/false, /*copy=*/true);
  };
  // A matrix that is stored in another type than the embeddings' keeps its form.
  const auto matrix = [&](const FrozenMatrix& from) -> FrozenMatrix {
    const bool is_computed = from.values.scalar_type() == weights.tok_embeddings.scalar_type();
    return is_computed ? FrozenMatrix(copied(from.values)) : from.copied_to(device);
  };
  LlamaWeights out;
  out.params = weights.params;
  out.part = weights.part;
  out.tok_embeddings = copied(weights.tok_embeddings);
  for (const LlamaLayerWeights& layer : weights.layers) {
    out.layers.push_back({copied(layer.attention_norm), matrix(layer.wqkv), matrix(layer.wo),
                          copied(layer.ffn_norm), matrix(layer.w13), matrix(layer.w2)});
  }
  out.norm = copied(weights.norm);
  out.output = out.params.tied_embeddings ? out.tok_embeddings : copied(weights.output);
  return out;
}

}  // namespace bovila
