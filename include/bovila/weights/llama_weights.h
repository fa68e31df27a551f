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

#include "bovila/config/config.h"
#include "bovila/dist/libtorch.h"
#include "bovila/weights/frozen_matrix.h"
#include "bovila/weights/llama_params.h"
#include "bovila/weights/llama_part.h"

namespace bovila {

/// In which types weights are: the one that is computed in, which embeddings, norms and head have,
/// and the layers' matrices' form.
struct WeightTypes {
  WeightTypes(torch::ScalarType type,  // NOLINT: a type alone is one
              WeightForm stored = WeightForm::kComputed);

  torch::ScalarType compute;
  WeightForm form;  ///< kComputed also for a form that is the compute type
};

/// Matrices that multiply the same input stand in one: fewer, larger products. In one of T parts
/// wqkv and w13 have a T-th of these rows, wo and w2 a T-th of these columns.
struct LlamaLayerWeights {
  torch::Tensor attention_norm;  // [D]
  FrozenMatrix wqkv;             // [D + 2 * kv_dim, D]: wq, wk, wv
  FrozenMatrix wo;               // [D, D]
  torch::Tensor ffn_norm;        // [D]
  FrozenMatrix w13;              // [2 * hidden_dim, D]: w1 (gate), w3 (up)
  FrozenMatrix w2;               // [D, hidden_dim]

  /// Widths of all queries, and of all keys, that the part computes.
  int64_t q_dim() const { return wo.columns(); }
  int64_t kv_dim() const { return (wqkv.rows() - q_dim()) / 2; }
  FrozenMatrix wq() const { return wqkv.row_range(0, q_dim()); }
  FrozenMatrix wkv() const { return wqkv.row_range(q_dim(), 2 * kv_dim()); }
};

/// Read-only after loading; all tensors lie in one block of memory.
struct LlamaWeights {
  LlamaParams params;            // of the whole
  LlamaPart part;                // that the layers' matrices are
  torch::Tensor tok_embeddings;  // [V, D]
  std::vector<LlamaLayerWeights> layers;
  torch::Tensor norm;    // [D]
  torch::Tensor output;  // [V, D]; tok_embeddings itself when they are tied
};

/// A block of `size` bytes of this process alone, aligned to 64, that `fill` has filled.
std::shared_ptr<std::byte> private_memory(size_t size, const std::function<void(std::byte*)>& fill);

/// What a process holds of the weights, and how those of a node that hold the same share it; by
/// default this one is alone and holds all.
struct WeightMemory {
  /// As private_memory. Collective when it is shared (dist/node_memory.h): then one process of a
  /// node fills the block, the others map it read-only, and an error of the one that fills is
  /// thrown by all.
  std::function<std::shared_ptr<std::byte>(size_t size,
                                           const std::function<void(std::byte*)>& fill)>
      block = private_memory;
  int64_t rank = 0;   ///< this process among those of the node, who share out what is to be checked
  int64_t ranks = 1;  ///< how many they are
  LlamaPart part = {};
};

/// Called between two tensors of a long read; what it throws ends the read. Any thread may call it.
using Interrupt = std::function<void()>;

/// What is in the files, whatever folder they lie in: their bytes and a hash. Meta's and the
/// program's own files hold checksums, whose hash costs nothing and which load_llama_weights
/// checks. Hugging Face's hold none: all bytes are read and hashed by all threads. The program's
/// own file has the identity of the files it was made from, when it is used in its own types.
/// @throws UserError.
std::string llama_identity(
    const std::string& folder, const WeightTypes& types, const Interrupt& interrupt = [] {});

/// Checks that every part is there and that names, shapes and types are those of `params`, without
/// reading the values. @throws UserError naming file, tensor and both shapes.
void check_llama_files(const std::string& folder, const LlamaParams& params);

/// @throws UserError when a LLaMA of such widths has no matrices of that form: NF4 has two weights
/// of a row in a byte.
void check_weight_form(const LlamaParams& params, WeightForm form);
/// @throws UserError when such a LLaMA cannot be cut into so many parts: heads, heads of keys and
/// SwiGLU's width are shared out evenly, and NF4's columns in whole blocks.
void check_llama_parts(const LlamaParams& params, WeightForm form, int64_t parts);

/// Bytes of the weights in these types, as a node, or a GPU, holds them; of all, or of one of so
/// many parts.
int64_t llama_weight_bytes(const LlamaParams& params, const WeightTypes& types, int64_t parts = 1);

/// The weights in these types: read and converted into memory.block, or, where the program's own
/// file has all of them so, the file itself, mapped read-only: its pages are the node's page cache.
/// Matrices are stored in a smaller form from the values that the files have, not from values that
/// were rounded to the compute type first. Of memory.part no more is held at once than the part and
/// one matrix; its numbers are those that the whole has, NF4-dq's with scales in fp32. Collective
/// when `memory` is.
/// @throws UserError as check_llama_files, check_weight_form and check_llama_parts, and when a file
/// with checksums is damaged or its values do not fit into the form.
LlamaWeights load_llama_weights(
    const std::string& folder, const LlamaParams& params, const WeightTypes& types,
    const WeightMemory& memory = {}, const Interrupt& interrupt = [] {});

}  // namespace bovila
