// The definition, one pass after another.
#include "tests/naive/naive_bovila.h"

#include <cmath>

#include "bovila/features/feature_store.h"
#include "bovila/model/rotary.h"
#include "bovila/objective/evidence.h"

namespace bovila::testing {
namespace {

using torch::Tensor;

Tensor norm(const Tensor& x, const Tensor& weight, double eps) {
  return (x * torch::rsqrt(x.square().mean(-1, true) + eps)) * weight;
}

/// A matrix that is stored smaller is expanded as a whole.
Tensor linear(const Tensor& x, const FrozenMatrix& weight) {
  return torch::linear(x, weight.expanded(x.scalar_type()));
}

/// [B, S, n * d] to [B, H, S, d], each of n heads repeated until there are H.
Tensor heads(const Tensor& x, const LlamaParams& p, const Tensor& turns) {
  auto split = x.unflatten(-1, {-1, p.head_dim()});
  if (turns.defined()) {
    const auto pairs = torch::view_as_complex(split.unflatten(-1, {-1, 2}));
    split = torch::view_as_real(pairs * turns).flatten(-2);
  }
  return split.repeat_interleave(p.n_heads / split.size(2), 2).transpose(1, 2);
}

/// Logits [N, V] that are scored against the labels [N] that count, and the row of each, [N].
struct Scored {
  Tensor logits, labels, row;
};

Scored scored(const Tensor& logits_BSV, const Tensor& labels_BS) {
  const int64_t length = labels_BS.size(1);
  const auto logits = logits_BSV.narrow(1, 0, length - 1).flatten(0, 1);
  const auto labels = labels_BS.narrow(1, 1, length - 1).flatten();
  const auto counted = labels.nonzero().view(-1);
  return {logits.index_select(0, counted), labels.index_select(0, counted),
          counted.floor_divide(length - 1)};
}

Tensor surprise(const Scored& s, at::Reduction::Reduction how) {
  return torch::cross_entropy_loss(s.logits, s.labels, {}, how);
}

/// Means of values [N] over the tokens of each row.
Tensor mean_by_row(const Tensor& values, const Tensor& row, int64_t rows) {
  const auto sums = torch::zeros({rows}).index_add(0, row, values);
  return sums / torch::zeros({rows}).index_add(0, row, torch::ones_like(values));
}

Tensor frames_of(const std::vector<float>& frames) {
  return torch::tensor(frames).view({-1, kFeatureDim});
}

}  // namespace

/// Prompts side by side, padded to S.
struct NaiveBovila::Rows {
  Tensor tokens;               // [B, S]
  Tensor labels;               // [B, S], 0 where none counts
  Tensor mask;                 // [1, 1, S, S]
  Tensor after_video;          // [B, 1, S, S]
  std::vector<int64_t> start;  // of the video
};

NaiveBovila::Rows NaiveBovila::rows_of(std::span<const Prompt* const> prompts) const {
  const auto batch = static_cast<int64_t>(prompts.size());
  const int64_t frames = model_.parameters().temporal_emb().size(0);
  Rows rows;
  rows.tokens = torch::zeros({batch, length_}, torch::kInt64);
  rows.labels = torch::zeros({batch, length_}, torch::kInt64);
  rows.mask = torch::full({1, 1, length_, length_}, -INFINITY).triu(1);
  rows.after_video = torch::zeros({batch, 1, length_, length_});
  for (int64_t b = 0; b < batch; ++b) {
    const Prompt& prompt = *prompts[static_cast<size_t>(b)];
    const auto ids = torch::tensor(prompt.tokens).to(torch::kInt64);
    rows.tokens[b].narrow(0, 0, prompt.size()).copy_(ids);
    const int64_t labels = prompt.size() - prompt.label_start;
    rows.labels[b].narrow(0, prompt.label_start, labels).copy_(ids.slice(0, prompt.label_start));
    const int64_t end = prompt.video_start + frames;
    rows.after_video[b][0].slice(0, end).slice(1, prompt.video_start, end).fill_(1);
    rows.start.push_back(prompt.video_start);
  }
  return rows;
}

Tensor NaiveBovila::embed(const Rows& rows, const Tensor& video_BFD) const {
  const auto x = torch::embedding(model_.llama().weights().tok_embeddings, rows.tokens);
  std::vector<Tensor> placed;
  for (size_t b = 0; b < rows.start.size(); ++b) {
    const auto row = x[static_cast<int64_t>(b)];
    const auto video = video_BFD[static_cast<int64_t>(b)];
    placed.push_back(torch::cat(
        {row.slice(0, 0, rows.start[b]), video, row.slice(0, rows.start[b] + video.size(0))}));
  }
  return torch::stack(placed);
}

Tensor NaiveBovila::adapter(const Tensor& q_BHSd, int64_t index) const {
  const auto& parameters = model_.parameters();
  const LlamaParams& p = model_.llama().params();
  const auto& weights = model_.llama().weights().layers[static_cast<size_t>(index)];
  const int64_t first = parameters.first_adapted_layer();
  const auto a = parameters.query().view({p.n_layers - first, -1, p.dim})[index - first];
  const auto kv = linear(a, weights.wkv()).unsqueeze(0).chunk(2, -1);
  const auto key = heads(kv[0], p, {}), value = heads(kv[1], p, {});
  const auto scores = q_BHSd.matmul(key.transpose(-2, -1)) / std::sqrt(p.head_dim());
  return (torch::softmax(scores, -1) * torch::tanh(parameters.gate1(index))).matmul(value);
}

Tensor NaiveBovila::attention(const Tensor& x_BSD, int64_t index, const Rows& rows,
                              const Tensor& turns) const {
  const auto& parameters = model_.parameters();
  const LlamaParams& p = model_.llama().params();
  const auto& weights = model_.llama().weights().layers[static_cast<size_t>(index)];
  const auto qkv =
      linear(x_BSD, weights.wqkv).split_with_sizes({p.dim, p.kv_dim(), p.kv_dim()}, -1);
  const auto q = heads(qkv[0], p, turns), k = heads(qkv[1], p, turns), v = heads(qkv[2], p, {});
  auto scores = q.matmul(k.transpose(-2, -1)) / std::sqrt(p.head_dim()) + rows.mask;
  const bool adapted = index >= parameters.first_adapted_layer();
  if (adapted) scores = scores + parameters.gate2(index) * rows.after_video;
  auto out = torch::softmax(scores, -1).matmul(v);
  if (adapted) out = out + adapter(q, index);
  return linear(out.transpose(1, 2).flatten(2), weights.wo);
}

Tensor NaiveBovila::layer(const Tensor& x_BSD, int64_t index, const Rows& rows,
                          const Tensor& turns) const {
  const auto& weights = model_.llama().weights().layers[static_cast<size_t>(index)];
  const double eps = model_.llama().params().norm_eps;
  const auto h = x_BSD + attention(norm(x_BSD, weights.attention_norm, eps), index, rows, turns);
  const auto gate_up = linear(norm(h, weights.ffn_norm, eps), weights.w13).chunk(2, -1);
  return h + linear(torch::silu(gate_up[0]) * gate_up[1], weights.w2);
}

Tensor NaiveBovila::hidden(Tensor x_BSD, const Rows& rows) const {
  const LlamaWeights& weights = model_.llama().weights();
  const LlamaParams& p = weights.params;
  const auto turns =
      rotary_turns(torch::arange(length_), p.head_dim(), p.rope_theta, p.rope_scaling);
  for (int64_t l = 0; l < p.n_layers; ++l) x_BSD = layer(x_BSD, l, rows, turns);
  return norm(x_BSD, weights.norm, p.norm_eps);
}

Tensor NaiveBovila::logits(const Tensor& x_BSD, const Rows& rows) const {
  return torch::linear(hidden(x_BSD, rows), model_.llama().weights().output);
}

Tensor NaiveBovila::qav_loss(std::span<const Example> batch, const Tensor& frames_BFC,
                             const LossConfig& config) const {
  std::vector<const Prompt*> prompts;
  for (const Example& example : batch) prompts.push_back(&example.qav);
  const Rows rows = rows_of(prompts);
  const auto h_BSD = hidden(embed(rows, model_.video(frames_BFC)), rows);
  const auto projected = torch::linear(frames_BFC, model_.parameters().visual_proj());
  std::vector<Tensor> losses;
  for (int64_t b = 0; b < frames_BFC.size(0); ++b) {
    const auto frames = projected[b];
    const auto before = h_BSD[b].narrow(0, rows.start[static_cast<size_t>(b)] - 1, frames.size(0));
    losses.push_back(torch::cross_entropy_loss(before.matmul(frames.t()) / config.qav_tau,
                                               torch::arange(frames.size(0))));
  }
  return torch::stack(losses).mean() * config.qav;
}

Tensor NaiveBovila::own_questions(std::span<const Example> batch, const Tensor& vaq_logits_BSV,
                                  const Tensor& x_BSD, const LossConfig& config,
                                  const NoiseSource& noise) const {
  std::vector<Tensor> rows;
  for (size_t b = 0; b < batch.size(); ++b) {
    const Prompt &vqa = batch[b].vqa, &vaq = batch[b].vaq;
    const auto row = static_cast<int64_t>(b);
    const auto z = vaq_logits_BSV[row].narrow(0, vaq.label_start - (config.aqa_align ? 1 : 0),
                                              vqa.question_len);
    const auto soft = torch::softmax(z + noise(batch[b], vqa.question_len), -1);
    const auto hard = torch::one_hot(soft.argmax(-1), soft.size(1)).to(torch::kFloat32);
    auto question = (hard - soft.detach() + soft).matmul(model_.llama().weights().tok_embeddings);
    if (config.aqa_gradient == AqaGradient::kAnswering) question = question.detach();
    rows.push_back(torch::cat({x_BSD[row].slice(0, 0, vqa.question_start), question,
                               x_BSD[row].slice(0, vqa.question_start + vqa.question_len)}));
  }
  return torch::stack(rows);
}

Losses NaiveBovila::losses(std::span<const Example> batch, const LossConfig& config,
                           const NoiseSource& noise) const {
  const auto& parameters = model_.parameters();
  std::vector<Tensor> frames;
  std::vector<const Prompt*> vqa_prompts, vaq_prompts;
  for (const Example& example : batch) {
    frames.push_back(frames_of(example.frames));
    vqa_prompts.push_back(&example.vqa);
    vaq_prompts.push_back(&example.vaq);
  }
  const auto video = model_.video(torch::stack(frames));
  const Rows vqa_rows = rows_of(vqa_prompts), vaq_rows = rows_of(vaq_prompts);
  const auto vqa_x = embed(vqa_rows, video);
  const auto evidence_of = [&](const Scored& s) {
    return make_evidence(s.logits, evidence_scale(config, parameters));
  };
  const auto zero = torch::zeros({});
  Losses out{zero, zero, zero, zero, zero, zero, zero, zero};

  const auto given = scored(logits(vqa_x, vqa_rows), vqa_rows.labels);
  out.vqa = surprise(given, at::Reduction::Mean);
  if (config.has_uncertainty()) out.uncertainty = evidence_of(given).uncertainty_N.detach().mean();
  if (config.edl_mse > 0) {
    const auto evidence = evidence_of(given);
    out.edl_mse = evidential_mse(evidence, given.labels).mean() * config.edl_mse;
    if (config.edl_reg > 0) {
      out.edl_reg = evidential_regulariser(evidence, given.labels) * config.edl_reg;
    }
  }
  if (config.vaq > 0 || config.aqa > 0) {
    const auto vaq_logits = logits(embed(vaq_rows, video), vaq_rows);
    out.vaq = surprise(scored(vaq_logits, vaq_rows.labels), at::Reduction::Mean) * config.vaq;
    if (config.aqa > 0) {
      const auto x = own_questions(batch, vaq_logits, vqa_x, config, noise);
      const auto asked = scored(logits(x, vqa_rows), vqa_rows.labels);
      const auto rows = static_cast<int64_t>(batch.size());
      out.aqa = surprise(asked, at::Reduction::Mean) * config.aqa;
      if (config.gates_aqa()) {
        auto u = mean_by_row(evidence_of(asked).uncertainty_N, asked.row, rows);
        const auto own = mean_by_row(surprise(asked, at::Reduction::None), asked.row, rows);
        if (!config.gate_gradient) u = u.detach();
        out.aqa = ((1 - u) * own).sum() * config.aqa;
      }
    }
  }
  if (config.qav > 0) out.qav = qav_loss(batch, torch::stack(frames), config);
  const auto answers =
      config.edl_mse > 0 ? out.edl_mse + out.edl_reg + out.vqa * config.edl_ce : out.vqa;
  out.total = answers + out.vaq + out.aqa + out.qav;
  return out;
}

std::vector<OptionScores> NaiveBovila::scores(std::span<const OptionExample> batch,
                                              const LossConfig& config) const {
  const torch::NoGradGuard no_grad;
  const auto& parameters = model_.parameters();
  std::vector<OptionScores> out;
  std::vector<Tensor> frames;
  for (const OptionExample& question : batch) {
    out.push_back({question.row, {}, {}});
    frames.push_back(frames_of(question.frames));
  }
  const auto video = model_.video(torch::stack(frames));
  for (size_t k = 0; k < batch.front().options.size(); ++k) {
    std::vector<const Prompt*> prompts;
    for (const OptionExample& question : batch) prompts.push_back(&question.options[k]);
    const Rows rows = rows_of(prompts);
    const auto s = scored(logits(embed(rows, video), rows), rows.labels);
    const auto u = config.has_uncertainty()
                       ? make_evidence(s.logits, evidence_scale(config, parameters)).uncertainty_N
                       : torch::zeros_like(s.logits.select(1, 0));
    const auto count = static_cast<int64_t>(batch.size());
    const auto loss = mean_by_row(surprise(s, at::Reduction::None), s.row, count);
    const auto mean_u = mean_by_row(u, s.row, count);
    for (size_t b = 0; b < batch.size(); ++b) {
      out[b].loss.push_back(loss[static_cast<int64_t>(b)].item<double>());
      out[b].uncertainty.push_back(mean_u[static_cast<int64_t>(b)].item<double>());
    }
  }
  return out;
}

}  // namespace bovila::testing
