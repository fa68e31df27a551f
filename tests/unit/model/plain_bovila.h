// SPEC 2 written out for one sequence, head by head and in double precision: what the model must
// equal. Fed by tests/unit/model/tiny_llama.h.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "tests/unit/model/tiny_llama.h"

namespace bovila::testing {

/// Video tokens [F, D] and where they stand; none when `tokens` is undefined.
struct PlainVideo {
  torch::Tensor tokens;
  int64_t start = 0;

  int64_t end() const { return tokens.defined() ? start + tokens.size(0) : 0; }
};

class PlainBovila {
 public:
  /// Without `parameters` no layer has an adapter.
  PlainBovila(LlamaParams params, const Tensors& tensors, const AdapterParameters* parameters)
      : p_(params), parameters_(parameters) {
    for (const auto& [name, tensor] : tensors) tensors_[name] = tensor.to(torch::kFloat64);
  }

  /// Hidden states after the final norm [S, D], fp32.
  torch::Tensor hidden(const std::vector<int32_t>& ids, const PlainVideo& video = {}) const {
    const torch::NoGradGuard no_grad;
    auto x = weight("tok_embeddings").index_select(0, torch::tensor(ids, torch::kInt64)).clone();
    if (video.tokens.defined()) {
      x.narrow(0, video.start, video.tokens.size(0)).copy_(video.tokens);
    }
    for (int64_t layer = 0; layer < p_.n_layers; ++layer) {
      x = x + attention(norm(x, name(layer, "attention_norm")), layer, video);
      x = x + feed_forward(norm(x, name(layer, "ffn_norm")), layer);
    }
    return norm(x, "norm").to(torch::kFloat32);
  }

 private:
  using Tensor = torch::Tensor;

  static std::string name(int64_t layer, const char* part) {
    return fmt::format("layers.{}.{}", layer, part);
  }
  const Tensor& weight(const std::string& name) const { return tensors_.at(name + ".weight"); }
  Tensor times(const Tensor& x, int64_t layer, const char* part) const {
    return x.matmul(weight(name(layer, part)).t());
  }
  Tensor norm(const Tensor& x, const std::string& name) const {
    return x / (x.square().mean(-1, true) + p_.norm_eps).sqrt() * weight(name);
  }
  Tensor feed_forward(const Tensor& x, int64_t layer) const {
    const auto gate = times(x, layer, "feed_forward.w1");
    return times(gate / (1 + (-gate).exp()) * times(x, layer, "feed_forward.w3"), layer,
                 "feed_forward.w2");
  }

  /// The columns of one head of [S, heads * d].
  Tensor head(const Tensor& x, int64_t h) const {
    return x.narrow(1, h * p_.head_dim(), p_.head_dim());
  }

  double frequency(int64_t j) const {
    const double f = std::pow(p_.rope_theta, -static_cast<double>(j) / p_.head_dim());
    const RopeScaling& scaling = p_.rope_scaling;
    if (scaling.kind == RopeScaling::Kind::kNone) return f;
    const double wavelength = 2 * M_PI / f;
    if (scaling.kind == RopeScaling::Kind::kLinear ||
        wavelength > scaling.original_length / scaling.low) {
      return f / scaling.factor;
    }
    if (wavelength < scaling.original_length / scaling.high) return f;
    const double smooth =
        (scaling.original_length / wavelength - scaling.low) / (scaling.high - scaling.low);
    return (1 - smooth) * f / scaling.factor + smooth * f;
  }

  Tensor rotated(const Tensor& x_Sd) const {
    auto out = x_Sd.clone();
    for (int64_t s = 0; s < x_Sd.size(0); ++s) {
      for (int64_t j = 0; j < p_.head_dim(); j += 2) {
        const double angle = static_cast<double>(s) * frequency(j);
        const auto a = x_Sd[s][j], b = x_Sd[s][j + 1];
        out[s][j] = a * std::cos(angle) - b * std::sin(angle);
        out[s][j + 1] = a * std::sin(angle) + b * std::cos(angle);
      }
    }
    return out;
  }

  /// Added to the scores: -inf for later keys, gate2 from behind the video to the video.
  Tensor bias(int64_t length, const PlainVideo& video, double gate2) const {
    auto out = torch::zeros({length, length}, torch::kFloat64);
    for (int64_t q = 0; q < length; ++q) {
      for (int64_t k = 0; k < length; ++k) {
        if (k > q) out[q][k] = -INFINITY;
        if (q >= video.end() && k >= video.start && k < video.end()) out[q][k] = gate2;
      }
    }
    return out;
  }

  Tensor attention(const Tensor& x, int64_t layer, const PlainVideo& video) const {
    const auto q = times(x, layer, "attention.wq"), k = times(x, layer, "attention.wk"),
               v = times(x, layer, "attention.wv");
    const double scale = 1 / std::sqrt(static_cast<double>(p_.head_dim()));
    const int64_t first = parameters_ ? parameters_->first_adapted_layer() : p_.n_layers;
    std::vector<Tensor> heads;
    for (int64_t h = 0; h < p_.n_heads; ++h) {
      const int64_t group = h / (p_.n_heads / p_.n_kv_heads);
      const auto query = rotated(head(q, h));
      const double gate2 = layer < first ? 0 : parameters_->gate2(layer).view(-1)[h].item<double>();
      const auto scores = query.matmul(rotated(head(k, group)).t()) * scale;
      auto out = torch::softmax(scores + bias(x.size(0), video, gate2), -1).matmul(head(v, group));
      if (layer >= first) out = out + adapter(query * scale, layer, layer - first, h, group);
      heads.push_back(out);
    }
    return times(torch::cat(heads, 1), layer, "attention.wo");
  }

  Tensor adapter(const Tensor& scaled_query, int64_t layer, int64_t place, int64_t h,
                 int64_t group) const {
    const int64_t slots = parameters_->query().size(0) / (p_.n_layers - layer + place);
    const auto a = parameters_->query().narrow(0, place * slots, slots).to(torch::kFloat64);
    const auto key = head(times(a, layer, "attention.wk"), group);
    const auto value = head(times(a, layer, "attention.wv"), group);
    const double gate1 = parameters_->gate1(layer).view(-1)[h].item<double>();
    return (torch::softmax(scaled_query.matmul(key.t()), -1) * std::tanh(gate1)).matmul(value);
  }

  LlamaParams p_;
  Tensors tensors_;
  const AdapterParameters* parameters_;
};

}  // namespace bovila::testing
