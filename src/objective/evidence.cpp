// The evidential terms, in u = 1 / (1 + T) so that no evidence is too large for fp32.
#include "bovila/objective/evidence.h"

#include <torch/autograd.h>

#include <cmath>
#include <limits>

namespace bovila {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// The regulariser with its derivative in closed form. With E_i = sum_k (a_ik - 1) and means over
/// tokens:
///   r        = mean_i [lgamma(A_i) - lgamma(V) - sum_k lgamma(a_ik) + sum_k (a_ik - 1)
///   digamma(a_ik)]
///              - mean_i E_i * mean_j digamma(A_j)
///   dr/da_ik = [(a_ik - 1) trigamma(a_ik) - mean_j digamma(A_j)] / N
///   dr/dA_i  = [digamma(A_i) - mean_j E_j * trigamma(A_i)] / N
struct DirichletDivergence : torch::autograd::Function<DirichletDivergence> {
  static Tensor forward(AutogradContext* context, const Tensor& a_NV, const Tensor& total_N) {
    context->save_for_backward({a_NV, total_N});
    const auto extra = a_NV - 1;
    const auto uniform = static_cast<double>(a_NV.size(1));
    const double of_uniform = std::lgamma(uniform);  // NOLINT(concurrency-mt-unsafe): sign unused
    const auto own = torch::lgamma(total_N) - of_uniform - torch::lgamma(a_NV).sum(1) +
                     (extra * torch::digamma(a_NV)).sum(1);
    return own.mean() - extra.sum(1).mean() * torch::digamma(total_N).mean();
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto saved = context->get_saved_variables();
    const auto &a = saved[0], &total = saved[1];
    const auto scale = grads[0] / static_cast<double>(a.size(0));
    const auto extra = a - 1;
    const auto digamma = torch::digamma(total);
    const auto d_a = extra * torch::polygamma(1, a) - digamma.mean();
    const auto d_total = digamma - torch::polygamma(1, total) * extra.sum(1).mean();
    return {scale * d_a, scale * d_total};
  }
};

/// The largest logit minus the logarithm of what all others sum to: finite where 1 - max e is not
/// told from 0.
Tensor log_odds_of_likeliest(const Tensor& logits_NV) {
  const auto [top_N1, index_N1] = logits_NV.max(-1, /*keepdim=*/true);
  const auto others_NV = logits_NV.scatter(-1, index_N1, -std::numeric_limits<double>::infinity());
  return top_N1.squeeze(-1) - torch::logsumexp(others_NV, -1);
}

/// s
Tensor log_total_of(const Tensor& logits_NV, const EvidenceScale& scale) {
  if (!scale.weight.defined()) return log_odds_of_likeliest(logits_NV);
  return torch::linear(logits_NV, scale.weight, scale.bias).squeeze(-1);
}

}  // namespace

EvidenceScale evidence_scale(const LossConfig& config, const AdapterParameters& parameters) {
  if (config.uncertainty == UncertaintySource::kSoftmax) return {};
  return {parameters.scale_weight(), parameters.scale_bias()};
}

Tensor uncertainty_of(const Tensor& logits_NV, const EvidenceScale& scale) {
  return torch::sigmoid(-log_total_of(logits_NV, scale));
}

Evidence make_evidence(const Tensor& logits_NV, const EvidenceScale& scale) {
  const auto log_total = log_total_of(logits_NV, scale);
  return {torch::softmax(logits_NV, -1), log_total, torch::sigmoid(-log_total)};
}

Tensor evidential_mse(const Evidence& evidence, const Tensor& labels_N) {
  const double prior = 1.0 / static_cast<double>(evidence.probability_NV.size(1));
  const auto u = evidence.uncertainty_N.unsqueeze(1);
  const auto p = evidence.probability_NV * torch::sigmoid(evidence.log_total_N).unsqueeze(1) +
                 u * prior;  // [N, V]
  const auto y = torch::one_hot(labels_N, p.size(1)).to(p.scalar_type());
  const auto error = (y - p).square().sum(1);
  // 1 / ((1 + T) + 1/V) with 1 + T = 1 / u, which itself would be too large.
  const auto narrowing = evidence.uncertainty_N / (1 + evidence.uncertainty_N * prior);
  const auto variance = (p * (1 - p)).sum(1) * prior * narrowing;
  return error + variance;
}

Tensor evidential_regulariser(const Evidence& evidence, const Tensor& labels_N) {
  const auto classes = static_cast<double>(evidence.probability_NV.size(1));
  const auto weight = torch::exp(evidence.log_total_N) * classes;  // T V
  // a~ = y + (1 - y) a: the label's own evidence is taken out, which leaves 1 there.
  const auto others =
      (evidence.probability_NV * weight.unsqueeze(1)).scatter(1, labels_N.unsqueeze(1), 0.0);
  return DirichletDivergence::apply(others + 1, weight + classes);
}

}  // namespace bovila
