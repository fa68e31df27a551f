// The frozen weights on another device or in another precision.
// Fed by weights/llama_weights.h or train/step_check.h; feeds model/llama.h.
#pragma once

#include "bovila/weights/llama_weights.h"

namespace bovila {

/// Always a copy, nothing of it shared with `weights`. Matrices that are stored in another type
/// than the embeddings' keep their form.
LlamaWeights copy_of(const LlamaWeights& weights, torch::Device device,
                     torch::ScalarType precision);

}  // namespace bovila
