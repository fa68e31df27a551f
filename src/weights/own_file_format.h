// What the reader and the writer of the program's own file of weights agree on.
// Fed by nothing; used by src/weights/own_file.cpp and src/weights/own_file_writer.cpp.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string>

#include "bovila/config/keys.h"
#include "bovila/core/hash.h"
#include "bovila/weights/llama_weights.h"

namespace bovila {

inline constexpr const char* kOwnFormat = "bovila-llama-1";
inline constexpr const char* kPadding = "padding.";  // names what stands between two tensors
inline constexpr int64_t kCrcPieceBytes = int64_t{16} << 20;
inline constexpr size_t kCrcDigits = 8;

inline int64_t num_crc_pieces(int64_t bytes) {
  return (bytes + kCrcPieceBytes - 1) / kCrcPieceBytes;
}

/// CRC-32 of piece `piece` of `bytes` bytes of values, in hexadecimal.
inline std::string crc_of(const std::byte* values, int64_t bytes, int64_t piece) {
  const int64_t begin = piece * kCrcPieceBytes;
  const auto size = static_cast<size_t>(std::min(kCrcPieceBytes, bytes - begin));
  return fmt::format("{:08x}", crc32({values + begin, size}));
}

/// safetensors' name of a type.
inline const char* own_type_name(torch::ScalarType type) {
  if (type == torch::kBFloat16) return "BF16";
  if (type == torch::kInt8) return "I8";
  if (type == torch::kUInt8) return "U8";
  return type == torch::kFloat16 ? "F16" : "F32";
}

/// "BF16", "BF16 and nf4": in messages and identities.
inline std::string own_types_text(const WeightTypes& types) {
  const std::string compute = own_type_name(types.compute);
  if (types.form == WeightForm::kComputed) return compute;
  return fmt::format("{} and {}", compute, to_string(types.form));
}

}  // namespace bovila
