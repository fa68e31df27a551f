// Evidential deep learning: how sure an answer is, and the losses that teach it. SPEC 5.
// Fed by logits at label positions; feeds objective/objective.h (losses, the gate) and
// evaluation/evaluator.h (u).
//
//     e = softmax(z)    T = exp(s)    u = 1 / (1 + T)    p = (e T + 1/V) / (1 + T)
//     s = scale_proj(z)                     as published
//     s = log(max e / (1 - max e))          loss.uncertainty = "softmax": then u = 1 - max e
//
// Legend: N label tokens, V vocabulary.
#pragma once

#include "bovila/config/config.h"
#include "bovila/dist/libtorch.h"
#include "bovila/model/adapters.h"

namespace bovila {

/// What s is computed with: scale_proj, or nothing but the logits.
struct EvidenceScale {
  torch::Tensor weight;  ///< [1, V]; undefined: s is the softmax's
  torch::Tensor bias;    ///< [1]
};

/// The one that the deck asks for.
EvidenceScale evidence_scale(const LossConfig& config, const AdapterParameters& parameters);

/// What the network knows about N tokens: class probabilities and how much evidence there is.
struct Evidence {
  torch::Tensor probability_NV;  ///< e, fp32
  torch::Tensor log_total_N;     ///< s, the logarithm of T
  torch::Tensor uncertainty_N;   ///< u in (0, 1)
};

/// u alone, [N], without the probabilities, from logits_NV (fp32).
torch::Tensor uncertainty_of(const torch::Tensor& logits_NV, const EvidenceScale& scale);

/// From logits_NV (fp32).
Evidence make_evidence(const torch::Tensor& logits_NV, const EvidenceScale& scale);

/// Squared error of the expected probabilities plus their variance, one value a token [N].
torch::Tensor evidential_mse(const Evidence& evidence, const torch::Tensor& labels_N);

/// Divergence from the Dirichlet without evidence once the label's evidence is taken out; the mean
/// over tokens, a scalar. As published in two ways that look like slips and that the golden numbers
/// decide: the first lgamma takes A_i, the sum of a, not of a~; and the term (a~_ik - 1)
/// digamma(A_j) is averaged over all pairs of tokens i, j, not over i = j.
torch::Tensor evidential_regulariser(const Evidence& evidence, const torch::Tensor& labels_N);

}  // namespace bovila
