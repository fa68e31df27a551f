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
  LlamaWeights out;
  out.params = weights.params;
  out.tok_embeddings = copied(weights.tok_embeddings);
  for (const LlamaLayerWeights& layer : weights.layers) {
    out.layers.push_back({copied(layer.attention_norm), copied(layer.wqkv), copied(layer.wo),
                          copied(layer.ffn_norm), copied(layer.w13), copied(layer.w2)});
  }
  out.norm = copied(weights.norm);
  out.output = out.params.tied_embeddings ? out.tok_embeddings : copied(weights.output);
  return out;
}

}  // namespace bovila
