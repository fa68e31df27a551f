// The readers of a LLaMA's sizes, one a form of weights.
// Fed by a folder's files; used by src/model/llama_files.h.
#pragma once

#include <string>

#include "bovila/model/llama_params.h"
#include "src/model/params_json.h"

namespace bovila {

/// FOLDER/params.json.
LlamaParams read_meta_params(const std::string& folder, int64_t tokenizer_vocab_size);

/// What makes no model, or none of this tokenizer's. @throws UserError naming `path`.
void check_params(const LlamaParams& params, const std::string& path, int64_t tokenizer_vocab_size);

}  // namespace bovila
