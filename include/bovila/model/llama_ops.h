// The two elementwise parts of a LLaMA layer, with backward passes that save as little as possible.
// Fed by and feeding model/llama.h. The weights are frozen: no gradient is made for them. In fp32
// on a CPU each is one pass over its rows (src/model/cpu), else LibTorch's operators.
#pragma once

#include "bovila/dist/libtorch.h"

namespace bovila {

/// x / sqrt(mean(x^2) + eps) * weight over the last dimension; the mean in fp32, the result in x's
/// type (SPEC 2). Differentiable in x.
torch::Tensor rms_norm(const torch::Tensor& x, const torch::Tensor& weight, double eps);

/// silu(a) * b for gate_up = [a | b] on the last dimension [..., 2 * width]; returns [..., width].
torch::Tensor swiglu(const torch::Tensor& gate_up);

}  // namespace bovila
