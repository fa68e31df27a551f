// Rotary position embedding on interleaved pairs, as Meta's LLaMA applies it (SPEC 2).
// Fed by token positions; feeds the attention's queries and keys in model/llama.h.
#pragma once

#include "bovila/dist/libtorch.h"
#include "bovila/weights/rope_scaling.h"

namespace bovila {

/// Turns for positions [T]: complex64 [T, 1, head_dim / 2], exp(i * position * f_j) with
/// f_j = theta^(-2j/d), slowed down as `scaling` says.
torch::Tensor rotary_turns(const torch::Tensor& positions, int64_t head_dim, double theta,
                           const RopeScaling& scaling = {});

/// Turns each pair (x[2j], x[2j + 1]) of the first `num_heads` heads of x [T, columns], in fp32,
/// keeping its type; columns are even in number. Overwrites x, which no other backward pass may
/// need, and returns it.
torch::Tensor rotate(const torch::Tensor& x, const torch::Tensor& turns, int64_t num_heads);

}  // namespace bovila
