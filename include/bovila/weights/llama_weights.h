// The frozen weights of a LLaMA in memory, and the files that they come from.
// Fed by the folder that model.llama names; feeds model/llama.h.
//
// A folder has one of these forms, looked for in this order:
//   bovila.safetensors                                  the program's own, see weights/llama_file.h
//   params.json, consolidated.00.pth, ...               Meta's, in one or several parts (SPEC 8)
//   config.json, and model.safetensors or              Hugging Face's, of a LLaMA architecture;
//     pytorch_model.bin, or shards with an index        its rotary layout is turned into Meta's
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bovila/dist/libtorch.h"
#include "bovila/weights/llama_params.h"

namespace bovila {

/// Matrices that multiply the same input stand in one: fewer, larger products.
struct LlamaLayerWeights {
  torch::Tensor attention_norm;  // [D]
  torch::Tensor wqkv;            // [D + 2 * kv_dim, D]: wq, wk, wv
  torch::Tensor wo;              // [D, D]
  torch::Tensor ffn_norm;        // [D]
  torch::Tensor w13;             // [2 * hidden_dim, D]: w1 (gate), w3 (up)
  torch::Tensor w2;              // [D, hidden_dim]

  torch::Tensor wq(const LlamaParams& p) const { return wqkv.narrow(0, 0, p.dim); }
  torch::Tensor wkv(const LlamaParams& p) const { return wqkv.narrow(0, p.dim, 2 * p.kv_dim()); }
};

/// Read-only after loading; all tensors are of one type and lie in one block of memory.
struct LlamaWeights {
  LlamaParams params;
  torch::Tensor tok_embeddings;  // [V, D]
  std::vector<LlamaLayerWeights> layers;
  torch::Tensor norm;    // [D]
  torch::Tensor output;  // [V, D]; tok_embeddings itself when they are tied
};

/// A block of `size` bytes of this process alone, aligned to 64, that `fill` has filled.
std::shared_ptr<std::byte> private_memory(size_t size, const std::function<void(std::byte*)>& fill);

/// How the processes of a node share weights; by default this one is alone.
struct WeightMemory {
  /// As private_memory. Collective when it is shared (dist/node_memory.h): then one process of a
  /// node fills the block, the others map it read-only, and an error of the one that fills is
  /// thrown by all.
  std::function<std::shared_ptr<std::byte>(size_t size,
                                           const std::function<void(std::byte*)>& fill)>
      block = private_memory;
  int64_t rank = 0;   ///< this process among those of the node, who share out what is to be checked
  int64_t ranks = 1;  ///< how many they are
};

/// Called between two tensors of a long read; what it throws ends the read. Any thread may call it.
using Interrupt = std::function<void()>;

/// What is in the files, whatever folder they lie in: their bytes and a hash. Meta's and the
/// program's own files hold checksums, whose hash costs nothing and which load_llama_weights
/// checks. Hugging Face's hold none: all bytes are read and hashed by all threads. The program's
/// own file has the identity of the files it was made from, when it is used in its own precision.
/// @throws UserError.
std::string llama_identity(
    const std::string& folder, torch::ScalarType precision, const Interrupt& interrupt = [] {});

/// Checks that every part is there and that names, shapes and types are those of `params`, without
/// reading the values. @throws UserError naming file, tensor and both shapes.
void check_llama_files(const std::string& folder, const LlamaParams& params);

/// The weights in `precision`: read and converted into memory.block, or, where the program's own
/// file has that precision, the file itself, mapped read-only: its pages are the node's page cache.
/// Collective when `memory` is.
/// @throws UserError as check_llama_files, and when a file with checksums is damaged.
LlamaWeights load_llama_weights(
    const std::string& folder, const LlamaParams& params, torch::ScalarType precision,
    const WeightMemory& memory = {}, const Interrupt& interrupt = [] {});

}  // namespace bovila
