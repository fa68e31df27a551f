// Reads the tensors of a .pth in each way that there is. Fed by the targets pth and tensors.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

#include "bovila/core/error.h"
#include "bovila/files/pth.h"

namespace bovila::fuzz {

inline void read_all(const PthFile& file, std::string_view key) {
  constexpr size_t kMaxTensors = 8;
  constexpr size_t kPieceBytes = 64;
  try {
    std::vector<PthTensor> tensors = file.tensors(key);
    tensors.resize(std::min(tensors.size(), kMaxTensors));
    for (const PthTensor& tensor : tensors) {
      std::vector<std::byte> values(static_cast<size_t>(tensor.num_bytes()));
      file.read(tensor, values);
      file.read_in_pieces(tensor, kPieceBytes, [](std::span<const std::byte>) {});
      file.verify_storage(tensor);
    }
  } catch (const UserError&) {  // the other key may hold tensors
  }
}

}  // namespace bovila::fuzz
