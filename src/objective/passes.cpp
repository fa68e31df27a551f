// The rows of each pass and which of their positions are scored.
#include "bovila/objective/passes.h"

#include <ATen/Parallel.h>
#include <ATen/record_function.h>
#include <torch/autograd.h>

#include <algorithm>

#include "bovila/model/device_copy.h"

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

/// [B, F, C]
Tensor frames_of(std::span<const Example> batch, int64_t max_feats, torch::Device device) {
  const auto rows = static_cast<int64_t>(batch.size());
  const auto per_row = static_cast<int64_t>(batch.front().frames.size());
  auto out = torch::empty({rows, max_feats, per_row / max_feats});
  float* at = out.data_ptr<float>();
  for (const Example& example : batch) at = std::ranges::copy(example.frames, at).out;
  return copy_to(out, device);
}

/// Where the self-made questions go.
Tensor question_tokens(std::span<const Example> examples, std::span<const SequenceTree> rows,
                       const Sequences& sequences, torch::Device device) {
  std::vector<int64_t> tokens;
  for (size_t i = 0; i < rows.size(); ++i) {
    const Prompt& vqa = examples[i].vqa;
    for (int64_t t = 0; t < vqa.question_len; ++t) {
      tokens.push_back(
          sequences.token(static_cast<int64_t>(i), rows[i].index(0, vqa.question_start + t)));
    }
  }
  return to_device(tokens, device);
}

/// A pass that was computed.
class Pass {
 public:
  Pass(const Questions& questions, std::span<const SequenceTree> rows,
       const Tensor& self_question = {})
      : sequences_(lay_out(rows, questions.video_BFD.size(1), questions.device())) {
    Overlay overlay;
    if (self_question.defined()) {
      overlay = {question_tokens(questions.examples, rows, sequences_, questions.device()),
                 self_question};
    }
    const auto hidden =
        questions.model.hidden(sequences_, questions.video_BFD, questions.adapters, overlay);
    logits_UV_ = questions.model.llama().logits(hidden);
  }

  /// Logits of some outputs, in the order asked for.
  Tensor logits_of(const std::vector<int64_t>& outputs) const {
    const auto wanted = to_device(outputs, logits_UV_.device());
    return logits_UV_.index_select(0, sequences_.selected.index_select(0, wanted));
  }
  Scored score(const Labels& labels) const {
    return {logits_of(labels.outputs), to_device(labels.tokens, logits_UV_.device()),
            to_device(labels.question, logits_UV_.device())};
  }

 private:
  Sequences sequences_;
  Tensor logits_UV_;
};

/// Noise of each question; they do not depend on one another.
Tensor all_noise(std::span<const Example> examples, const NoiseSource& noise) {
  std::vector<Tensor> noises(examples.size());
  at::parallel_for(0, std::ssize(examples), 1, [&](int64_t first, int64_t last) {
    for (auto i = static_cast<size_t>(first); i < static_cast<size_t>(last); ++i) {
      noises[i] = noise(examples[i], examples[i].vqa.question_len);
    }
  });
  return torch::cat(noises);
}

}  // namespace

SharedInputs::SharedInputs(const Bovila& model, std::span<const Example> examples, bool with_frames)
    : adapters_(model.adapter_slots()) {
  const int64_t max_feats = model.parameters().temporal_emb().size(0);
  const auto projected = model.project(frames_of(examples, max_feats, model.llama().device()));
  if (with_frames) frames_BFD_ = cut(projected);
  video_BFD_ = cut(model.place(projected));
  for (AdapterSlots& slots : adapters_) {
    if (!slots.defined()) continue;
    slots.key = cut(slots.key);
    slots.value = cut(slots.value);
  }
}

Tensor SharedInputs::cut(const Tensor& computed) {
  auto leaf = computed.detach();
  if (computed.requires_grad()) cuts_.push_back({computed, leaf.requires_grad_()});
  return leaf;
}

void SharedInputs::backward() const {
  RECORD_USER_SCOPE("backward");
  std::vector<Tensor> computed, grads;
  for (const auto& [tensor, leaf] : cuts_) {
    if (!leaf.grad().defined()) continue;
    computed.push_back(tensor);
    grads.push_back(leaf.grad());
  }
  if (!computed.empty()) torch::autograd::backward(computed, grads);
}

int64_t count_labels(std::span<const Example> batch, Prompt Example::*prompt) {
  Labels labels;
  for (const Example& example : batch) labels.append(example.*prompt, 0, 0);
  return std::ssize(labels.tokens);
}

Asked ask(const Questions& questions, const NoiseSource& noise) {
  RECORD_USER_SCOPE("VAQ");
  const bool asks = questions.config.aqa > 0;
  const int64_t shift = questions.config.aqa_align ? 0 : 1;
  std::vector<SequenceTree> rows;
  Labels labels;
  std::vector<int64_t> sampled;  // outputs
  int64_t first = 0;
  for (size_t i = 0; i < questions.examples.size(); ++i) {
    const Prompt& vaq = questions.examples[i].vaq;
    const int64_t asked = asks ? questions.examples[i].vqa.question_len : 0;
    const int64_t count = std::max(num_labels(vaq), asked > 0 ? asked + shift : 0);
    std::vector<int32_t> tokens = vaq.tokens;
    tokens.resize(static_cast<size_t>(vaq.label_start - 1 + count));  // no longer than is read
    rows.push_back(SequenceTree::chain(tokens, vaq.video_start));
    rows.back().want(0, vaq.label_start - 1, count);
    labels.append(vaq, first, static_cast<int64_t>(i));
    for (int64_t t = 0; t < asked; ++t) sampled.push_back(first + shift + t);
    first += count;
  }
  const Pass pass(questions, rows);
  Asked out{pass.score(labels), {}};
  if (asks) {
    RECORD_USER_SCOPE("Gumbel");
    out.self_question = gumbel_choose(
        pass.logits_of(sampled), copy_to(all_noise(questions.examples, noise), questions.device()),
        questions.model.llama().weights().tok_embeddings);
  }
  return out;
}

Scored answer(const Questions& questions, const Tensor& self_question) {
  RECORD_USER_SCOPE(self_question.defined() ? "AQA" : "VQA");
  std::vector<SequenceTree> rows;
  Labels labels;
  int64_t first = 0;
  for (size_t i = 0; i < questions.examples.size(); ++i) {
    const Prompt& vqa = questions.examples[i].vqa;
    // The last token, end-of-sequence, is a label only: nothing is read off its position.
    rows.push_back(
        SequenceTree::chain(std::span(vqa.tokens).first(vqa.tokens.size() - 1), vqa.video_start));
    rows.back().want(0, vqa.label_start - 1, num_labels(vqa));
    labels.append(vqa, first, static_cast<int64_t>(i));
    first += num_labels(vqa);
  }
  return Pass(questions, rows, self_question).score(labels);
}

Tensor frame_logits(const Questions& questions, const Tensor& frames_BFD) {
  RECORD_USER_SCOPE("QAV");
  const int64_t frames = frames_BFD.size(1);
  std::vector<SequenceTree> rows;
  for (const Example& example : questions.examples) {
    const Prompt& qav = example.qav;
    rows.push_back(SequenceTree::chain(
        std::span(qav.tokens).first(static_cast<size_t>(qav.video_start + frames)),
        qav.video_start));
    rows.back().want(0, qav.video_start - 1, frames);
  }
  const auto sequences = lay_out(rows, frames, questions.device());
  const auto hidden =
      questions.model.hidden(sequences, questions.video_BFD, questions.adapters, {});
  const auto states_BFD = hidden.index_select(0, sequences.selected).view_as(frames_BFD);
  return torch::bmm(states_BFD.to(torch::kFloat32), frames_BFD.to(torch::kFloat32).transpose(1, 2))
      .div(questions.config.qav_tau)
      .flatten(0, 1);
}

}  // namespace bovila
