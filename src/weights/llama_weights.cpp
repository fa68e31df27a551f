// Which form a folder has, and its weights in memory.
#include "bovila/weights/llama_weights.h"

#include <filesystem>
#include <new>

#include "bovila/config/keys.h"
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

std::string llama_identity(const std::string& folder, const WeightTypes& types,
                           const Interrupt& interrupt) {
  return open_llama_files(folder)->identity(types, interrupt);
}

void check_llama_files(const std::string& folder, const LlamaParams& params) {
  open_llama_files(folder)->check(params);
}

WeightTypes::WeightTypes(torch::ScalarType type, WeightForm stored) : compute(type), form(stored) {
  const bool is_computed = (form == WeightForm::kBf16 && type == torch::kBFloat16) ||
                           (form == WeightForm::kFp16 && type == torch::kFloat16);
  if (is_computed) form = WeightForm::kComputed;
}

void check_weight_form(const LlamaParams& params, WeightForm form) {
  if (form != WeightForm::kNf4 && form != WeightForm::kNf4Dq) return;
  if (params.dim % 2 == 0 && params.hidden_dim() % 2 == 0) return;
  throw UserError(
      "model.weights = \"{}\" stores two weights of a row in a byte, and this LLaMA is {} and {} "
      "wide; use \"int8\"",
      to_string(form), params.dim, params.hidden_dim());
}

int64_t llama_weight_bytes(const LlamaParams& params, const WeightTypes& types) {
  return static_cast<int64_t>(llama_block_size(params, types));
}

LlamaWeights load_llama_weights(const std::string& folder, const LlamaParams& params,
                                const WeightTypes& types, const WeightMemory& memory,
                                const Interrupt& interrupt) {
  const torch::NoGradGuard no_grad;
  const auto files = open_llama_files(folder);
  check_weight_form(params, types.form);
  files->check(params);  // before any memory is taken
  auto block = files->map(types);
  if (!block) {
    block = memory.block(llama_block_size(params, types), [&](std::byte* at) {
      const std::shared_ptr<std::byte> lent(std::shared_ptr<void>(), at);
      files->fill(llama_tensors(params, types, lent), interrupt);
      describe_forms(params, types, lent);
    });
  }
  auto weights = llama_tensors(params, types, std::move(block));
  files->verify(memory, interrupt);  // last: ranks may fail alone in it
  return weights;
}

}  // namespace bovila
