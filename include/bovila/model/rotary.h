// Rotary position embedding on interleaved pairs, as Meta's LLaMA applies it (SPEC 2).
// Fed by token positions; feeds the attention's queries and keys in model/llama.h.
#pragma once

#include <torch/torch.h>

#include "bovila/model/rope_scaling.h"

namespace bovila {

/// Turns for positions [B, S]: complex64 [B, S, 1, head_dim / 2], exp(i * position * f_j) with
/// f_j = theta^(-2j/d), slowed down as `scaling` says.
torch::Tensor rotary_turns(const torch::Tensor& positions, int64_t head_dim, double theta,
                           const RopeScaling& scaling = {});

/// Turns each pair (x[2j], x[2j + 1]) of x_BSHd [B, S, heads, head_dim], in fp32, keeping its type.
torch::Tensor rotate(const torch::Tensor& x_BSHd, const torch::Tensor& turns);

}  // namespace bovila
