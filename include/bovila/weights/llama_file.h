// The program's own file of weights: the block of memory that the program computes with, to be
// mapped instead of read. Fed by any other form of weights; read by weights/llama_weights.h.
//
// FOLDER/bovila.safetensors is a safetensors file whose tensors lie as in memory: aligned to 64
// bytes, wq, wk and wv in one, w1 and w3 in one, the rotary layout Meta's. All are of the compute
// type but the layers' matrices, which have a form of their own where one is asked for: then with
// what belongs to it under bitsandbytes' names. The metadata hold the sizes ("config", as Hugging
// Face writes them), the form ("weights"), what it was made from ("source") and a CRC-32 of each
// 16 MiB of the values ("crc32").
#pragma once

#include <filesystem>
#include <string>

#include "bovila/weights/llama_weights.h"

namespace bovila {

inline constexpr const char* kLlamaFileName = "bovila.safetensors";

/// Writes the weights in `folder` in these types to the new file `target`, which is synced but not
/// renamed. No more than the largest tensor is held in memory, and NF4-dq's scales of a layer:
/// values go through the page cache. @throws UserError as load_llama_weights, and when `folder`
/// already has this form;
/// ProgramError when the file cannot be written.
void write_llama_file(const std::string& folder, const LlamaParams& params,
                      const WeightTypes& types, const std::filesystem::path& target);

}  // namespace bovila
