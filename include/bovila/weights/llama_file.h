// The program's own file of weights: the block of memory that the program computes with, to be
// mapped instead of read. Fed by any other form of weights; read by weights/llama_weights.h.
//
// FOLDER/bovila.safetensors is a safetensors file whose tensors are all of one compute type and lie
// as in memory: aligned to 64 bytes, wq, wk and wv in one, w1 and w3 in one, the rotary layout
// Meta's. Its metadata hold the sizes ("config", as Hugging Face writes them), what it was made
// from
// ("source") and a CRC-32 of each 16 MiB of the values ("crc32").
#pragma once

#include <filesystem>
#include <string>

#include "bovila/weights/llama_weights.h"

namespace bovila {

inline constexpr const char* kLlamaFileName = "bovila.safetensors";

/// Writes the weights in `folder`, rounded to `precision`, to the new file `target`, which is
/// synced but not renamed. No more than the largest tensor is held in memory: values go through the
/// page cache. @throws UserError as load_llama_weights, and when `folder` already has this form;
/// ProgramError when the file cannot be written.
void write_llama_file(const std::string& folder, const LlamaParams& params,
                      torch::ScalarType precision, const std::filesystem::path& target);

}  // namespace bovila
