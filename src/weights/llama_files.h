// The files of a LLaMA in one of the forms that are read.
// Fed by the folder that model.llama names; used by weights/llama_params.h and
// weights/llama_weights.h.
#pragma once

#include <memory>
#include <string>

#include "bovila/weights/llama_weights.h"

namespace bovila {

/// All errors are UserError naming the file.
class LlamaFiles {
 public:
  LlamaFiles() = default;
  LlamaFiles(const LlamaFiles&) = delete;
  LlamaFiles& operator=(const LlamaFiles&) = delete;
  virtual ~LlamaFiles() = default;

  virtual LlamaParams params(int64_t tokenizer_vocab_size) const = 0;
  /// See llama_identity.
  virtual std::string identity(const WeightTypes& types, const Interrupt& interrupt) const = 0;
  /// See check_llama_files.
  virtual void check(const LlamaParams& params) const = 0;

  /// The block of all weights (src/weights/llama_block.h) as it lies in a file; null where none is
  /// in these types.
  virtual std::shared_ptr<std::byte> map(const WeightTypes&) const { return nullptr; }
  /// Reads all values of the part into tensors of the block. After check(). `types`: see
  /// src/weights/matrix_filler.h.
  virtual void fill(const LlamaWeights& weights, const WeightTypes& types,
                    const Interrupt& interrupt) const = 0;
  /// Proves this process's share of the values that fill() and map() do not prove.
  virtual void verify(const WeightMemory&, const Interrupt&) const {}
};

std::unique_ptr<LlamaFiles> open_llama_files(const std::string& folder);

std::unique_ptr<LlamaFiles> open_meta_files(const std::string& folder);
std::unique_ptr<LlamaFiles> open_hf_files(const std::string& folder);
std::unique_ptr<LlamaFiles> open_own_file(const std::string& folder);

}  // namespace bovila
