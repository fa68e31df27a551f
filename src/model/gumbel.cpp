// The straight-through estimator without its [M, V] x [V, D] product in the forward pass: the value
// of a one-hot row times the table is a row of the table.
#include "bovila/model/gumbel.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/autograd.h>

namespace bovila {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct GumbelChoose : torch::autograd::Function<GumbelChoose> {
  static Tensor forward(AutogradContext* context, const Tensor& logits, const Tensor& noise,
                        const Tensor& embeddings) {
    const auto soft = torch::softmax(logits + noise, -1);
    context->save_for_backward({soft, embeddings});
    return embeddings.index_select(0, soft.argmax(-1));
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto saved = context->get_saved_variables();
    const auto d_soft = torch::linear(grads[0], saved[1]).to(torch::kFloat32);
    return {torch::_softmax_backward_data(d_soft, saved[0], -1, torch::kFloat32), Tensor(),
            Tensor()};
  }
};

}  // namespace

Tensor gumbel_noise(int64_t num_tokens, int64_t vocab_size, uint64_t key) {
  auto random = at::make_generator<at::CPUGeneratorImpl>(key);
  return torch::empty({num_tokens, vocab_size}).exponential_(1, random).log_().neg_();
}

Tensor gumbel_choose(const Tensor& logits_MV, const Tensor& noise_MV, const Tensor& embeddings_VD) {
  return GumbelChoose::apply(logits_MV, noise_MV, embeddings_VD);
}

}  // namespace bovila
