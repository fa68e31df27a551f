// Where each tensor of a LLaMA lies in its block.
#include "src/weights/llama_block.h"

#include <fmt/format.h>

#include <functional>

namespace bovila {
namespace {

using torch::Tensor;

/// Hands out tensors of one block, in order. With a null block they have shapes but no memory.
class Arena {
 public:
  Arena(std::shared_ptr<std::byte> block, torch::ScalarType type)
      : block_(std::move(block)), type_(type) {}

  Tensor take(const std::vector<int64_t>& shape) {
    auto bytes = static_cast<size_t>(c10::elementSize(type_));
    for (const int64_t size : shape) bytes *= static_cast<size_t>(size);
    std::byte* at = block_ ? block_.get() + used_ : nullptr;
    used_ += (bytes + kWeightAlignment - 1) / kWeightAlignment * kWeightAlignment;
    if (at == nullptr) return torch::empty(shape, torch::TensorOptions(type_).device(torch::kMeta));
    return torch::from_blob(
        at, shape, [keep = block_](void*) {}, type_);
  }

  size_t used() const { return used_; }

 private:
  std::shared_ptr<std::byte> block_;
  torch::ScalarType type_;
  size_t used_ = 0;
};

/// Hears of every tensor when it is taken.
using Visit = std::function<void(const std::string& name, const Tensor& values, size_t offset)>;

LlamaWeights take_tensors(Arena& arena, const LlamaParams& p, const Visit& visit) {
  const auto take = [&](const std::string& name, const std::vector<int64_t>& shape) {
    const size_t offset = arena.used();
    auto values = arena.take(shape);
    visit(name + ".weight", values, offset);
    return values;
  };
  LlamaWeights weights;
  weights.params = p;
  weights.tok_embeddings = take("tok_embeddings", {p.vocab_size, p.dim});
  for (int64_t l = 0; l < p.n_layers; ++l) {
    const auto part = [&](const char* name, const std::vector<int64_t>& shape) {
      return take(fmt::format("layers.{}.{}", l, name), shape);
    };
    LlamaLayerWeights layer;
    layer.attention_norm = part("attention_norm", {p.dim});
    layer.wqkv = part("attention.wqkv", {p.dim + 2 * p.kv_dim(), p.dim});
    layer.wo = part("attention.wo", {p.dim, p.dim});
    layer.ffn_norm = part("ffn_norm", {p.dim});
    layer.w13 = part("feed_forward.w13", {2 * p.hidden_dim(), p.dim});
    layer.w2 = part("feed_forward.w2", {p.dim, p.hidden_dim()});
    weights.layers.push_back(std::move(layer));
  }
  weights.norm = take("norm", {p.dim});
  weights.output =
      p.tied_embeddings ? weights.tok_embeddings : take("output", {p.vocab_size, p.dim});
  return weights;
}

}  // namespace

size_t llama_block_size(const LlamaParams& params, torch::ScalarType type) {
  Arena arena(nullptr, type);
  take_tensors(arena, params, [](const auto&, const auto&, size_t) {});
  return arena.used();
}

LlamaWeights llama_tensors(const LlamaParams& params, torch::ScalarType type,
                           std::shared_ptr<std::byte> block) {
  Arena arena(std::move(block), type);
  return take_tensors(arena, params, [](const auto&, const auto&, size_t) {});
}

std::vector<BlockTensor> block_tensors(const LlamaParams& params, torch::ScalarType type) {
  std::vector<BlockTensor> tensors;
  Arena arena(nullptr, type);
  take_tensors(arena, params, [&](const std::string& name, const Tensor& values, size_t offset) {
    tensors.push_back({name, values, offset});
  });
  return tensors;
}

}  // namespace bovila
