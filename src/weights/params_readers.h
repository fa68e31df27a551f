// The readers of a LLaMA's sizes, one a form of weights, and of what else is JSON beside weights.
// Fed by a folder's files; used by src/weights/llama_files.h.
#pragma once

#include <string>
#include <vector>

#include "bovila/weights/llama_params.h"

namespace bovila {

class ParamsJson;

/// FOLDER/params.json.
LlamaParams read_meta_params(const std::string& folder, int64_t tokenizer_vocab_size);
/// What a config.json of Hugging Face's transformers says.
/// @throws UserError also for a model that is not computed as LLaMA, naming what differs.
LlamaParams read_hf_config(const ParamsJson& config, int64_t tokenizer_vocab_size);
/// The text of a config.json that read_hf_config() reads as `params`.
std::string to_hf_config(const LlamaParams& params);

/// The files of Hugging Face's tensors in a folder: model.safetensors, or those that its index
/// lists, else pytorch_model.bin, or those of its index. @throws UserError when one is missing, or
/// listed with a name that leaves the folder.
std::vector<std::string> hf_tensor_files(const std::string& folder);
/// What may surprise of that choice; "" when nothing does.
std::string hf_files_note(const std::string& folder);

/// What makes no model, or none of this tokenizer's. @throws UserError naming `path`.
void check_params(const LlamaParams& params, const std::string& path, int64_t tokenizer_vocab_size);

}  // namespace bovila
