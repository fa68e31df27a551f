// The evidential terms, with 1 + T = 1 / u so that no evidence is too large for fp32.
#include "bovila/train/evidence.h"

#include <cmath>

namespace bovila {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// sum_k f(a_k) - f(A0)-terms of the regulariser, with f's derivative in closed form:
///   r(a, A0) = lgamma(A0) - lgamma(V) - sum lgamma(a) + sum (a - 1)(digamma(a) - digamma(A0))
///   dr/da_k  = (a_k - 1) trigamma(a_k) - digamma(A0)
///   dr/dA0   = digamma(A0) - trigamma(A0) sum (a_k - 1)
struct DirichletDivergence : torch::autograd::Function<DirichletDivergence> {
  static Tensor forward(AutogradContext* context, const Tensor& a_NV, const Tensor& total_N) {
    context->save_for_backward({a_NV, total_N});
    const double classes = static_cast<double>(a_NV.size(1));
    const auto extra = a_NV - 1;
    return torch::lgamma(total_N) - std::lgamma(classes) - torch::lgamma(a_NV).sum(1) +
           (extra * (torch::digamma(a_NV) - torch::digamma(total_N).unsqueeze(1))).sum(1);
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto saved = context->get_saved_variables();
    const auto &a = saved[0], &total = saved[1], &grad = grads[0];
    const auto extra = a - 1;
    const auto digamma_total = torch::digamma(total);
    const auto d_a = extra * torch::polygamma(1, a) - digamma_total.unsqueeze(1);
    const auto d_total = digamma_total - torch::polygamma(1, total) * extra.sum(1);
    return {grad.unsqueeze(1) * d_a, grad * d_total};
  }
};

}  // namespace

Evidence make_evidence(const Tensor& logits_NV, const Tensor& scale_weight,
                       const Tensor& scale_bias) {
  const auto log_total = torch::linear(logits_NV, scale_weight, scale_bias).squeeze(-1);
  return {torch::softmax(logits_NV, -1), log_total, torch::sigmoid(-log_total)};
}

Tensor evidential_mse(const Evidence& evidence, const Tensor& labels_N) {
  const double prior = 1.0 / static_cast<double>(evidence.probability_NV.size(1));
  const auto u = evidence.uncertainty_N.unsqueeze(1);
  const auto p = evidence.probability_NV * torch::sigmoid(evidence.log_total_N).unsqueeze(1) +
                 u * prior;  // [N, V]
  const auto y = torch::one_hot(labels_N, p.size(1)).to(p.scalar_type());
  const auto error = (y - p).square().sum(1);
  const auto variance = (p * (1 - p)).sum(1) * prior / (1 / evidence.uncertainty_N + prior);
  return error + variance;
}

Tensor evidential_regulariser(const Evidence& evidence, const Tensor& labels_N) {
  const auto classes = static_cast<double>(evidence.probability_NV.size(1));
  const auto weight = torch::exp(evidence.log_total_N) * classes;  // T V
  // a~ = y + (1 - y) a: the label's own evidence is taken out, which leaves 1 there.
  const auto others = (evidence.probability_NV * weight.unsqueeze(1))
                          .scatter(1, labels_N.unsqueeze(1), 0.0);
  return DirichletDivergence::apply(others + 1, weight + classes);
}

}  // namespace bovila
