// Every tensor of a LLaMA, one after the other.
#include "bovila/model/llama_copy.h"

namespace bovila {

using torch::Tensor;

LlamaWeights copy_of(const LlamaWeights& weights, torch::Device device,
                     torch::ScalarType precision) {
  const torch::NoGradGuard no_grad;
  const auto copied = [&](const Tensor& tensor) {
    return tensor.to(device, precision, /*non_blocking=*/false, /*copy=*/true);
  };
  const bool keeps_transposed = device.is_cpu() && precision == torch::kFloat32;
  const auto matrix = [&](const FrozenMatrix& from) -> FrozenMatrix {
    const bool has = from.transposed.defined() && keeps_transposed;
    return {copied(from.weight), has ? copied(from.transposed) : Tensor()};
  };
  LlamaWeights out;
  out.params = weights.params;
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
