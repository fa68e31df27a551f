// Which form a folder has, and its weights in memory.
#include "bovila/weights/llama_weights.h"

#include <filesystem>
#include <new>

#include "bovila/core/error.h"
#include "bovila/weights/llama_file.h"
#include "src/weights/llama_block.h"
#include "src/weights/llama_files.h"

namespace bovila {

std::unique_ptr<LlamaFiles> open_llama_files(const std::string& folder) {
  const auto has = [&](const char* name) { return std::filesystem::exists(folder + "/" + name); };
  if (has(kLlamaFileName)) return open_own_file(folder);
  // Folders of Hugging Face may hold a params.json of other programs too.
  if (has("config.json") && !has("consolidated.00.pth")) return open_hf_files(folder);
  return open_meta_files(folder);
}

std::shared_ptr<std::byte> private_memory(size_t size,
                                          const std::function<void(std::byte*)>& fill) {
  const std::align_val_t alignment{kWeightAlignment};
  std::shared_ptr<std::byte> block(static_cast<std::byte*>(::operator new(size, alignment)),
                                   [=](std::byte* p) { ::operator delete(p, alignment); });
  fill(block.get());
  return block;
}

LlamaParams read_llama_params(const std::string& folder, int64_t tokenizer_vocab_size) {
  return open_llama_files(folder)->params(tokenizer_vocab_size);
}

std::string llama_identity(const std::string& folder, torch::ScalarType precision,
                           const Interrupt& interrupt) {
  return open_llama_files(folder)->identity(precision, interrupt);
}

void check_llama_files(const std::string& folder, const LlamaParams& params) {
  open_llama_files(folder)->check(params);
}

LlamaWeights load_llama_weights(const std::string& folder, const LlamaParams& params,
                                torch::ScalarType precision, const WeightMemory& memory,
                                const Interrupt& interrupt) {
  const torch::NoGradGuard no_grad;
  const auto files = open_llama_files(folder);
  files->check(params);  // before any memory is taken
  auto block = files->map(precision);
  if (!block) {
    block = memory.block(llama_block_size(params, precision), [&](std::byte* at) {
      files->fill(llama_tensors(params, precision, {std::shared_ptr<void>(), at}), interrupt);
    });
  }
  auto weights = llama_tensors(params, precision, std::move(block));
  files->verify(memory, interrupt);  // last: ranks may fail alone in it
  return weights;
}

}  // namespace bovila
