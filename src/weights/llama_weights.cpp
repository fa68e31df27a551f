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

void check_llama_parts(const LlamaParams& params, WeightForm form, int64_t parts) {
  const auto require = [&](int64_t count, const std::string& what) {
    if (count % parts == 0) return;
    throw UserError(
        "run.tensor_parallel is {}, but this LLaMA has {}, which cannot be shared out evenly: "
        "expected a divisor of its {} heads, {} heads of keys and values and SwiGLU's width {}",
        parts, what, params.n_heads, params.n_kv_heads, params.hidden_dim());
  };
  require(params.n_heads, fmt::format("{} heads", params.n_heads));
  require(params.n_kv_heads, fmt::format("{} heads of keys and values", params.n_kv_heads));
  require(params.hidden_dim(), fmt::format("SwiGLU's width {}", params.hidden_dim()));
  if (parts == 1 || (form != WeightForm::kNf4 && form != WeightForm::kNf4Dq)) return;
  for (const int64_t columns : {params.dim / parts, params.hidden_dim() / parts}) {
    if (columns % kNf4BlockSize == 0) continue;
    throw UserError(
        "model.weights = \"{}\" stores blocks of {} weights of a row, and with "
        "run.tensor_parallel = {} a part of a row has {}: use \"int8\" or fewer ranks a group",
        to_string(form), kNf4BlockSize, parts, columns);
  }
}

int64_t llama_weight_bytes(const LlamaParams& params, const WeightTypes& types, int64_t parts) {
  return static_cast<int64_t>(llama_block_size(params, types, {0, parts}));
}

LlamaWeights load_llama_weights(const std::string& folder, const LlamaParams& params,
                                const WeightTypes& types, const WeightMemory& memory,
                                const Interrupt& interrupt) {
  const torch::NoGradGuard no_grad;
  const auto files = open_llama_files(folder);
  const LlamaPart& part = memory.part;
  check_weight_form(params, types.form);
  check_llama_parts(params, types.form, part.ranks);
  files->check(params);  // before any memory is taken
  auto block = part.is_whole() ? files->map(types) : nullptr;
  if (!block) {
    block = memory.block(llama_block_size(params, types, part), [&](std::byte* at) {
      const std::shared_ptr<std::byte> lent(std::shared_ptr<void>(), at);
      files->fill(llama_tensors(params, types, lent, part), types, interrupt);
      describe_forms(params, types, lent, part);
    });
  }
  auto weights = llama_tensors(params, types, std::move(block), part);
  files->verify(memory, interrupt);  // last: ranks may fail alone in it
  return weights;
}

}  // namespace bovila
