// What a file's elements are to LibTorch. Fed by files/pth.h and files/safetensors.h; used by
// whoever reads weights or parameters.
#pragma once

#include <string>

#include "bovila/dist/libtorch.h"
#include "bovila/files/pickle.h"

namespace bovila {

/// @throws UserError for a tensor of `path` that is not floating point.
torch::ScalarType weight_type(ElementType type, const std::string& tensor, const std::string& path);

}  // namespace bovila
