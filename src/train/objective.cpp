// The three passes. VAQ first, since its logits ask the question; then VQA and AQA as two branches
// of one row that share instruction and video.
#include "bovila/train/objective.h"

#include <algorithm>

#include "bovila/core/error.h"
#include "bovila/core/random.h"
#include "bovila/data/feature_store.h"
#include "bovila/model/device_copy.h"
#include "bovila/train/evidence.h"

namespace bovila {
namespace {

using torch::Tensor;

constexpr int64_t kIgnoredLabel = 0;  // token 0 never counts in a loss (SPEC 3)

/// The labels of several questions that count: the tokens, which output of the pass is scored
/// against each, and which question it belongs to.
struct Labels {
  std::vector<int64_t> tokens, outputs, question;

  /// Those of one prompt, whose first label is scored at `first`.
  void append(const Prompt& prompt, int64_t first, int64_t index) {
    for (int64_t t = 0; prompt.label_start + t < prompt.size(); ++t) {
      const int32_t token = prompt.tokens[static_cast<size_t>(prompt.label_start + t)];
      if (token == kIgnoredLabel) continue;
      tokens.push_back(token);
      outputs.push_back(first + t);
      question.push_back(index);
    }
  }
};

int64_t num_labels(const Prompt& prompt) {
  return prompt.size() - prompt.label_start;
}

Tensor to_device(const std::vector<int64_t>& values, torch::Device device) {
  return copy_to(torch::tensor(values, torch::kInt64), device);
}

Tensor frames_of(std::span<const Example> batch, torch::Device device) {
  const auto rows = static_cast<int64_t>(batch.size());
  const auto per_row = static_cast<int64_t>(batch.front().frames.size());
  auto out = torch::empty({rows, per_row / kFeatureDim, kFeatureDim});
  float* at = out.data_ptr<float>();
  for (const Example& example : batch) at = std::ranges::copy(example.frames, at).out;
  return copy_to(out, device);
}

/// Rows of logits_UV that belong to some outputs of the pass, in the order asked for.
Tensor logits_of(const Tensor& logits_UV, const Sequences& sequences,
                 const std::vector<int64_t>& outputs) {
  const auto wanted = to_device(outputs, logits_UV.device());
  return logits_UV.index_select(0, sequences.selected.index_select(0, wanted));
}

Tensor cross_entropy(const Tensor& logits_NV, const Tensor& labels_N,
                     at::Reduction::Reduction how) {
  return torch::cross_entropy_loss(logits_NV, labels_N, {}, how);
}

/// What the passes of one micro-batch share.
struct MicroBatch {
  const Bovila& model;
  std::span<const Example> examples;
  const LossConfig& config;
  Tensor video_BFD;
  std::vector<AdapterSlots> adapters;

  torch::Device device() const { return model.llama().device(); }
  int64_t max_feats() const { return video_BFD.size(1); }
};

/// The self-made questions: one row of embeddings for each question token of the batch.
using SelfQuestion = Tensor;  // [M, D]

struct AskedQuestion {
  Tensor vaq_loss;
  SelfQuestion embeddings;  // undefined when AQA is off
};

/// VAQ: positions label_start - 1 and on are scored against the question's tokens, and (one later,
/// as published, unless aligned: SPEC D7) are what the model's own question is sampled from.
AskedQuestion ask(const MicroBatch& micro, const NoiseSource& noise) {
  const bool asks = micro.config.aqa > 0;
  const int64_t shift = micro.config.aqa_align ? 0 : 1;
  std::vector<SequenceTree> rows;
  Labels labels;
  std::vector<int64_t> sampled;  // outputs
  int64_t first = 0;
  for (size_t i = 0; i < micro.examples.size(); ++i) {
    const Prompt& vaq = micro.examples[i].vaq;
    const int64_t asked = asks ? micro.examples[i].vqa.question_len : 0;
    const int64_t count = std::max(num_labels(vaq), asked > 0 ? asked + shift : 0);
    std::vector<int32_t> tokens = vaq.tokens;
    tokens.resize(static_cast<size_t>(vaq.label_start - 1 + count));  // no longer than is read
    rows.push_back(SequenceTree::chain(tokens, vaq.video_start));
    rows.back().want(0, vaq.label_start - 1, count);
    labels.append(vaq, first, static_cast<int64_t>(i));
    for (int64_t t = 0; t < asked; ++t) sampled.push_back(first + shift + t);
    first += count;
  }
  const auto sequences = lay_out(rows, micro.max_feats(), micro.device());
  const auto hidden = micro.model.hidden(sequences, micro.video_BFD, micro.adapters);
  const auto logits = micro.model.llama().logits(hidden);

  AskedQuestion out;
  out.vaq_loss = cross_entropy(logits_of(logits, sequences, labels.outputs),
                               to_device(labels.tokens, micro.device()), at::Reduction::Mean) *
                 micro.config.vaq;
  if (asks) {
    std::vector<Tensor> noises;
    for (const Example& example : micro.examples) {
      noises.push_back(noise(example, example.vqa.question_len));
    }
    out.embeddings = gumbel_choose(logits_of(logits, sequences, sampled),
                                   copy_to(torch::cat(noises), micro.device()),
                                   micro.model.llama().weights().tok_embeddings);
  }
  return out;
}

struct Answers {
  Tensor given_logits;  // [N, V] fp32: VQA
  Tensor asked_logits;  // [N, V] fp32: AQA; undefined when it is off
  Tensor labels;        // [N]
  Tensor question;      // [N]: which question of the micro-batch each label belongs to
};

/// Where the self-made questions go: the question's tokens in branch 1 of each row.
Tensor question_tokens(std::span<const Example> examples, std::span<const SequenceTree> rows,
                       const Sequences& sequences, torch::Device device) {
  std::vector<int64_t> tokens;
  for (size_t i = 0; i < rows.size(); ++i) {
    const Prompt& vqa = examples[i].vqa;
    for (int64_t t = 0; t < vqa.question_len; ++t) {
      tokens.push_back(
          sequences.token(static_cast<int64_t>(i), rows[i].index(1, vqa.question_start + t)));
    }
  }
  return to_device(tokens, device);
}

/// VQA, and AQA beside it when a self-made question is given.
Answers answer(const MicroBatch& micro, const SelfQuestion& self_question) {
  const size_t branches = self_question.defined() ? 2 : 1;
  std::vector<SequenceTree> rows;
  Labels given, asked;
  int64_t first = 0;
  for (size_t i = 0; i < micro.examples.size(); ++i) {
    const Prompt& vqa = micro.examples[i].vqa;
    // The last token, end-of-sequence, is a label only: nothing is read off its position.
    const std::vector<std::vector<int32_t>> sequences(branches,
                                                      {vqa.tokens.begin(), vqa.tokens.end() - 1});
    rows.push_back(SequenceTree::shared(sequences, vqa.question_start, vqa.video_start));
    const int64_t count = num_labels(vqa);
    for (size_t k = 0; k < branches; ++k) {
      rows.back().want(static_cast<int64_t>(k), vqa.label_start - 1, count);
      (k == 0 ? given : asked).append(vqa, first, static_cast<int64_t>(i));
      first += count;
    }
  }
  const auto sequences = lay_out(rows, micro.max_feats(), micro.device());
  Overlay overlay;
  if (self_question.defined()) {
    overlay = {question_tokens(micro.examples, rows, sequences, micro.device()), self_question};
  }
  const auto hidden = micro.model.hidden(sequences, micro.video_BFD, micro.adapters, overlay);
  const auto logits = micro.model.llama().logits(hidden);
  return {logits_of(logits, sequences, given.outputs),
          self_question.defined() ? logits_of(logits, sequences, asked.outputs) : Tensor(),
          to_device(given.tokens, micro.device()), to_device(given.question, micro.device())};
}

/// Sums values_N over the tokens of each of `count` questions.
Tensor sum_by_question(const Tensor& values_N, const Tensor& question_N, int64_t count) {
  return torch::zeros({count}, values_N.options()).index_add(0, question_N, values_N);
}

/// Gate on: each question's mean cross-entropy times its mean certainty, summed over the batch,
/// with the gradient through the gate too. Gate off, or no evidential loss to teach the
/// uncertainty: the plain mean.
Tensor aqa_loss(const MicroBatch& micro, const Answers& answers) {
  const auto& logits = answers.asked_logits;
  if (!micro.config.aqa_gate || micro.config.edl_mse == 0) {
    return cross_entropy(logits, answers.labels, at::Reduction::Mean) * micro.config.aqa;
  }
  const auto questions = static_cast<int64_t>(micro.examples.size());
  const auto& parameters = micro.model.parameters();
  const auto u = uncertainty_of(logits, parameters.scale_weight(), parameters.scale_bias());
  const auto surprise = cross_entropy(logits, answers.labels, at::Reduction::None);
  const auto sum = [&](const Tensor& values_N) {
    return sum_by_question(values_N, answers.question, questions);
  };
  const auto tokens = sum(torch::ones_like(u));
  return ((1 - sum(u) / tokens) * (sum(surprise) / tokens)).sum() * micro.config.aqa;
}

void answer_losses(const MicroBatch& micro, const Answers& answers, Losses& losses) {
  losses.vqa = cross_entropy(answers.given_logits, answers.labels, at::Reduction::Mean);
  if (micro.config.edl_mse > 0) {
    const auto& parameters = micro.model.parameters();
    const auto evidence =
        make_evidence(answers.given_logits, parameters.scale_weight(), parameters.scale_bias());
    losses.uncertainty = evidence.uncertainty_N.detach().mean();
    losses.edl_mse = evidential_mse(evidence, answers.labels).mean() * micro.config.edl_mse;
    if (micro.config.edl_reg > 0) {
      losses.edl_reg = evidential_regulariser(evidence, answers.labels) * micro.config.edl_reg;
    }
  }
  if (answers.asked_logits.defined()) losses.aqa = aqa_loss(micro, answers);
}

}  // namespace

Tensor Losses::values() const {
  return torch::stack({total, vqa, edl_mse, edl_reg, vaq, aqa, uncertainty}).detach();
}

Losses compute_losses(const Bovila& model, std::span<const Example> batch, const LossConfig& config,
                      const NoiseSource& noise) {
  BOVILA_CHECK(!batch.empty(), "a micro-batch needs at least one question");
  const auto device = model.llama().device();
  const MicroBatch micro{model, batch, config, model.video(frames_of(batch, device)),
                         model.adapter_slots()};
  const auto zero = torch::zeros({}, torch::TensorOptions(torch::kFloat32).device(device));
  Losses losses{zero, zero, zero, zero, zero, zero, zero};
  AskedQuestion asked;
  if (config.vaq > 0 || config.aqa > 0) {
    asked = ask(micro, noise);
    losses.vaq = asked.vaq_loss;
  }
  answer_losses(micro, answer(micro, asked.embeddings), losses);
  const auto answering = config.edl_mse > 0 ? losses.edl_mse + losses.edl_reg : losses.vqa;
  losses.total = answering + losses.vaq + losses.aqa;
  return losses;
}

NoiseSource named_noise(uint64_t seed, int64_t epoch, int64_t vocab_size) {
  return [=](const Example& example, int64_t num_tokens) {
    return gumbel_noise(num_tokens, vocab_size,
                        stream_key(seed, "gumbel", static_cast<uint64_t>(epoch),
                                   static_cast<uint64_t>(example.row)));
  };
}

}  // namespace bovila
