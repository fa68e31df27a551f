// The one block of memory in which all weights of a LLaMA lie, and the tensors in it.
// Fed by LlamaParams; used by src/weights/llama_weights.cpp and by the file that holds such a
// block.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bovila/weights/llama_weights.h"

namespace bovila {

/// Every tensor of a block begins at a multiple of so many bytes.
constexpr size_t kWeightAlignment = 64;

size_t llama_block_size(const LlamaParams& params, const WeightTypes& types,
                        const LlamaPart& part = {});
/// The weights, or a part of them, in a block, which they keep; with a null block they have shapes
/// but no memory. A part's NF4-dq has scales in fp32: those in 8 bits count along the whole matrix.
LlamaWeights llama_tensors(const LlamaParams& params, const WeightTypes& types,
                           std::shared_ptr<std::byte> block, const LlamaPart& part = {});
/// A matrix of this form without numbers, in memory of its own.
FrozenMatrix empty_matrix(int64_t rows, int64_t columns, const WeightTypes& types);

struct BlockTensor {
  std::string name;
  torch::Tensor values;
  size_t offset;  // from the block's start, in bytes
};
/// All of them in their order, each of the type and shape that it has in the program's own file.
/// Matrices that stand in one are named by the file: wqkv, w13. What a smaller form has besides is
/// named as bitsandbytes names it: W.absmax, W.quant_map, ...
std::vector<BlockTensor> block_tensors(const LlamaParams& params, const WeightTypes& types);

/// Writes what a file says of its forms beside the values: NF4's map, and texts. Once all values
/// are there; nothing of it is computed with but the map of scales.
void describe_forms(const LlamaParams& params, const WeightTypes& types,
                    std::shared_ptr<std::byte> block, const LlamaPart& part = {});

}  // namespace bovila
