// Ragged attention of all heads on a CPU in fp32, head by head on LibTorch's threads.
// Fed by src/model/ragged_attention.cpp, which takes other types and devices itself.
#pragma once

#include "bovila/model/adapter_attention.h"

namespace bovila::cpu {

/// Gradients of ragged attention, in the shapes of what they belong to; the adapter's are undefined
/// without one.
struct RaggedGradients {
  torch::Tensor q, k, v, key, value, gate1, gate2;
};

/// [Q, H, d] from q [Q, H, d], k and v [T, G, d].
torch::Tensor ragged_forward(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                             const AdapterSlots& adapter,
                             std::span<const AttentionSegment> segments);

RaggedGradients ragged_backward(const torch::Tensor& q, const torch::Tensor& k,
                                const torch::Tensor& v, const AdapterSlots& adapter,
                                std::span<const AttentionSegment> segments,
                                const torch::Tensor& grad);

}  // namespace bovila::cpu
