// Sums over the ranks that hold a LLaMA together, where a layer needs what all of them computed.
// Fed by dist/communicator.h; used by model/llama.h. SPEC 14.
//
// A layer's parts take the same input and give a part of its output each: behind wo and w2 the
// outputs are summed, and in the backward pass, before wq|wk|wv and w1|w3, the inputs' gradients.
#pragma once

#include "bovila/dist/communicator.h"
#include "bovila/dist/libtorch.h"

namespace bovila {

/// The sum of the ranks' x, in x's type, the same bits on all; its gradient is handed on as it is.
/// `group`: null where a rank is alone, which gives x itself. Collective over the group.
torch::Tensor sum_over_group(const torch::Tensor& x, Communicator* group);

/// x, which all ranks have; its gradient is the sum of the ranks' gradients. Collective over the
/// group in the backward pass.
torch::Tensor share_with_group(const torch::Tensor& x, Communicator* group);

}  // namespace bovila
