// Which form the device's attention takes, and the way from a pass's tokens to padded rows and
// back.
#include "bovila/model/adapter_attention.h"

#include <torch/autograd.h>

namespace bovila {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Tokens [n, ...] to rows [B * width, ...]. Backward: each token's gradient is that of its home;
/// those in every row sum over the rows. No atomic additions, so it repeats bit for bit.
struct ToRows : torch::autograd::Function<ToRows> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& places,
                        const Tensor& homes, int64_t num_rows, int64_t num_shared) {
    context->save_for_backward({homes});
    context->saved_data["num_rows"] = num_rows;
    context->saved_data["num_shared"] = num_shared;
    return x.index_select(0, places);
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto& grad = grads[0];
    const int64_t rows = context->saved_data["num_rows"].toInt();
    const int64_t shared = context->saved_data["num_shared"].toInt();
    auto out = grad.index_select(0, context->get_saved_variables()[0]);
    if (shared > 0) {
      out.narrow(0, 0, shared).copy_(grad.unflatten(0, {rows, -1}).narrow(1, 0, shared).sum(0));
    }
    return {out, Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

/// Rows [B * width, ...] to tokens [n, ...]. Backward: nothing comes back to padding.
struct FromRows : torch::autograd::Function<FromRows> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& homes) {
    context->save_for_backward({homes});
    context->saved_data["places"] = x.size(0);
    return x.index_select(0, homes);
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    auto sizes = grads[0].sizes().vec();
    sizes[0] = context->saved_data["places"].toInt();
    auto out = torch::zeros(sizes, grads[0].options());
    return {out.index_copy_(0, context->get_saved_variables()[0], grads[0]), Tensor()};
  }
};

/// [n, heads, d] to [B, H, width, d].
Tensor to_rows(const Tensor& x, const PaddedRows& rows, int64_t num_heads) {
  const auto padded = ToRows::apply(x, rows.places, rows.homes, rows.num_rows, rows.num_shared)
                          .unflatten(0, {rows.num_rows, -1});
  const int64_t serves = num_heads / x.size(1);
  return (serves == 1 ? padded : padded.repeat_interleave(serves, 2)).transpose(1, 2).contiguous();
}

}  // namespace

Tensor adapter_attention(const Tensor& q_QHd, const Tensor& k_TGd, const Tensor& v_TGd,
                         const AdapterSlots& adapter, const AttentionScope& scope) {
  if (scope.segments) return ragged_attention(q_QHd, k_TGd, v_TGd, adapter, scope);
  const int64_t heads = q_QHd.size(1);
  const auto out_BHRd =
      padded_attention(to_rows(q_QHd, scope.queries, heads), to_rows(k_TGd, scope.keys, heads),
                       to_rows(v_TGd, scope.keys, heads), adapter, scope);
  return FromRows::apply(out_BHRd.transpose(1, 2).flatten(0, 1), scope.queries.homes);
}

}  // namespace bovila
