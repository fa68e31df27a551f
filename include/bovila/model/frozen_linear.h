// The product with a matrix of the frozen LLaMA: no gradient of it, nothing saved for one.
// Fed by weights/llama_weights.h; feeds model/llama.h.
//
// On the CPU in fp32 the product runs in oneDNN rather than in MKL where the processor is an x86-64
// that is not Intel's: MKL keeps its AVX-512 kernels to Intel, and oneDNN was measured at up to
// three times its speed there. On other architectures it runs in what LibTorch takes. The choice
// depends on the processor alone, so a run repeats bit for bit on equal machines.
//
// A matrix that is stored smaller than x's type is expanded here and nowhere else, forward and
// backward, into memory that lives as long as the product: on a CPU in panels that stay in the
// cache, of rows forward and of columns backward, so that every sum is whole within a panel;
// elsewhere one matrix at a time.
#pragma once

#include "bovila/dist/libtorch.h"
#include "bovila/weights/frozen_matrix.h"

namespace bovila {

/// Whether fp32 products on this processor run in oneDNN.
bool uses_onednn();

/// x [..., in] times the transpose of `weight` [out, in]: [..., out], in x's type. Differentiable
/// in x.
torch::Tensor frozen_linear(const torch::Tensor& x, const FrozenMatrix& weight);

}  // namespace bovila
