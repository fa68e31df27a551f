// The frozen weights on another device or in another precision.
// Fed by weights/llama_weights.h or train/step_check.h; feeds model/llama.h.
#pragma once

#include "bovila/weights/llama_weights.h"

namespace bovila {

/// Always a copy, nothing of it shared with `weights`. Transposed copies of matrices, which serve
/// the CPU in fp32 alone (model/frozen_linear.h), are left out elsewhere.
LlamaWeights copy_of(const LlamaWeights& weights, torch::Device device,
                     torch::ScalarType precision);

}  // namespace bovila
