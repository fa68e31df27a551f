// A matrix of the frozen LLaMA and the product with it: no gradient, nothing saved for one.
// Fed by model/llama_weights.h; feeds model/llama.h.
//
// On the CPU in fp32 the product runs in oneDNN rather than in MKL where the processor is not
// Intel's: MKL keeps its AVX-512 kernels to Intel, and oneDNN was measured at twice its speed
// there. The choice depends on the processor alone, so a run repeats bit for bit on equal machines.
#pragma once

#include <torch/torch.h>

namespace bovila {

/// Whether fp32 products on this processor run in oneDNN.
bool uses_onednn();

struct FrozenMatrix {
  torch::Tensor weight;  // [out, in]
  torch::Tensor
      transposed;  // [in, out]; only when trained with uses_onednn(), for the backward pass

  /// Rows [first, first + count) of `weight` as a matrix of their own.
  FrozenMatrix rows(int64_t first, int64_t count) const;
};

/// x [..., in] times the matrix: [..., out], in x's type. Differentiable in x.
torch::Tensor frozen_linear(const torch::Tensor& x, const FrozenMatrix& matrix);

}  // namespace bovila
