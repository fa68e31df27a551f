// Evidential deep learning: how sure an answer is, and the losses that teach it. SPEC 5.
// Fed by logits at label positions; feeds objective/objective.h (losses, the gate) and
// evaluation/evaluator.h (u).
//
//     e = softmax(z)    T = exp(s)    u = 1 / (1 + T)    p = (e T + 1/V) / (1 + T)      s =
//     scale_proj(z)
//
// Legend: N label tokens, V vocabulary.
#pragma once

#include "bovila/dist/libtorch.h"

namespace bovila {

/// What the network knows about N tokens: class probabilities and how much evidence there is.
struct Evidence {
  torch::Tensor probability_NV;  ///< e, fp32
  torch::Tensor log_total_N;     ///< s, the logarithm of T
  torch::Tensor uncertainty_N;   ///< u in (0, 1)
};

/// u alone, [N], without the probabilities.
torch::Tensor uncertainty_of(const torch::Tensor& logits_NV, const torch::Tensor& scale_weight,
                             const torch::Tensor& scale_bias);

/// From logits_NV (fp32) and scale_proj's weight [1, V] and bias [1].
Evidence make_evidence(const torch::Tensor& logits_NV, const torch::Tensor& scale_weight,
                       const torch::Tensor& scale_bias);

/// Squared error of the expected probabilities plus their variance, one value a token [N].
torch::Tensor evidential_mse(const Evidence& evidence, const torch::Tensor& labels_N);

/// Divergence from the Dirichlet without evidence once the label's evidence is taken out; the mean
/// over tokens, a scalar. As published in two ways that look like slips and that the golden numbers
/// decide: the first lgamma takes A_i, the sum of a, not of a~; and the term (a~_ik - 1)
/// digamma(A_j) is averaged over all pairs of tokens i, j, not over i = j.
torch::Tensor evidential_regulariser(const Evidence& evidence, const torch::Tensor& labels_N);

}  // namespace bovila
