// The frozen weights of a LLaMA in memory, and Meta's files that they come from (SPEC 8).
// Fed by a folder of params.json and consolidated.00.pth; feeds model/llama.h.
#pragma once

#include <torch/torch.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bovila/model/frozen_linear.h"
#include "bovila/model/llama_params.h"

namespace bovila {

/// Matrices that multiply the same input stand in one: fewer, larger products.
struct LlamaLayerWeights {
  torch::Tensor attention_norm;  // [D]
  FrozenMatrix wqkv;             // [D + 2 * kv_dim, D]: wq, wk, wv
  FrozenMatrix wo;               // [D, D]
  torch::Tensor ffn_norm;        // [D]
  FrozenMatrix w13;              // [2 * hidden_dim, D]: w1 (gate), w3 (up)
  FrozenMatrix w2;               // [D, hidden_dim]

  FrozenMatrix wq(const LlamaParams& p) const { return wqkv.rows(0, p.dim); }
  FrozenMatrix wkv(const LlamaParams& p) const { return wqkv.rows(p.dim, 2 * p.kv_dim()); }
};

/// Read-only after loading; all tensors are of one type and lie in one block of memory.
struct LlamaWeights {
  LlamaParams params;
  torch::Tensor tok_embeddings;  // [V, D]
  std::vector<LlamaLayerWeights> layers;
  torch::Tensor norm;    // [D]
  torch::Tensor output;  // [V, D]
};

/// Gives a block of `size` bytes, aligned to 64, that `fill` has filled. Collective when it is
/// shared (dist/node_memory.h): then one process of a node fills it, the others map it read-only,
/// and an error of the one that fills is thrown by all.
using WeightMemory = std::function<std::shared_ptr<std::byte>(
    size_t size, const std::function<void(std::byte*)>& fill)>;

/// A block of this process alone.
std::shared_ptr<std::byte> private_memory(size_t size, const std::function<void(std::byte*)>& fill);

/// Called between two tensors of a long read; what it throws ends the read.
using Interrupt = std::function<void()>;

/// What is in the files, whatever folder they lie in: their bytes and a hash over params.json and
/// the checksums of all tensors. Costs nothing; load_llama_weights checks the checksums. @throws
/// UserError.
std::string llama_identity(const std::string& folder);

/// Checks that every part is there and that names, shapes and types are those of `params`, without
/// reading the values. @throws UserError naming file, tensor and both shapes.
void check_llama_files(const std::string& folder, const LlamaParams& params);

/// Reads the weights in `precision`. Collective when `memory` is. `for_training` adds transposed
/// copies of the matrices where the backward pass is faster with them (model/frozen_linear.h).
/// @throws UserError as check_llama_files, and when a file is damaged.
LlamaWeights load_llama_weights(
    const std::string& folder, const LlamaParams& params, torch::ScalarType precision,
    bool for_training, const WeightMemory& memory = private_memory,
    const Interrupt& interrupt = [] {});

}  // namespace bovila
