// The passes, each differentiated and freed before the next: VQA of the whole micro-batch, whose
// regulariser couples its questions; then VAQ and AQA of some questions at a time.
#include "bovila/train/objective.h"

#include <ATen/Parallel.h>

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

/// What all passes of a micro-batch read, computed once and cut off the graph: so each pass can be
/// differentiated and freed by itself, while the gradients of what it read add up here.
class SharedInputs {
 public:
  SharedInputs(const Bovila& model, std::span<const Example> examples)
      : video_BFD_(cut(model.video(frames_of(examples, model.llama().device())))),
        adapters_(model.adapter_slots()) {
    for (AdapterSlots& slots : adapters_) {
      if (!slots.defined()) continue;
      slots.key = cut(slots.key);
      slots.value = cut(slots.value);
    }
  }

  const Tensor& video_BFD() const { return video_BFD_; }
  const std::vector<AdapterSlots>& adapters() const { return adapters_; }

  /// Takes what the passes added up on to the parameters. Once, after the last pass.
  void backward() const {
    std::vector<Tensor> computed, grads;
    for (const auto& [tensor, leaf] : cuts_) {
      if (!leaf.grad().defined()) continue;
      computed.push_back(tensor);
      grads.push_back(leaf.grad());
    }
    if (!computed.empty()) torch::autograd::backward(computed, grads);
  }

 private:
  struct Cut {
    Tensor computed, leaf;
  };

  Tensor cut(const Tensor& computed) {
    auto leaf = computed.detach();
    if (computed.requires_grad()) cuts_.push_back({computed, leaf.requires_grad_()});
    return leaf;
  }

  std::vector<Cut> cuts_;
  Tensor video_BFD_;
  std::vector<AdapterSlots> adapters_;
};

/// Some consecutive questions of a micro-batch.
struct Questions {
  const Bovila& model;
  std::span<const Example> examples;
  const LossConfig& config;
  Tensor video_BFD;
  const std::vector<AdapterSlots>& adapters;

  torch::Device device() const { return model.llama().device(); }
  auto size() const { return static_cast<int64_t>(examples.size()); }

  /// Logits [U, V] of a pass.
  Tensor logits(const Sequences& sequences, const Overlay& overlay = {}) const {
    return model.llama().logits(model.hidden(sequences, video_BFD, adapters, overlay));
  }
  Sequences lay_out(std::span<const SequenceTree> rows) const {
    return bovila::lay_out(rows, video_BFD.size(1), device());
  }
};

/// The self-made questions: one row of embeddings for each question token.
using SelfQuestion = Tensor;  // [M, D]

struct AskedQuestion {
  Tensor surprise;          // sum of the VAQ labels' cross-entropies
  SelfQuestion embeddings;  // undefined when AQA is off
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

/// VAQ: positions label_start - 1 and on are scored against the question's tokens, and (one later,
/// as published, unless aligned: SPEC D7) are what the model's own question is sampled from.
AskedQuestion ask(const Questions& questions, const NoiseSource& noise) {
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
  const auto sequences = questions.lay_out(rows);
  const auto logits = questions.logits(sequences);

  AskedQuestion out;
  out.surprise = cross_entropy(logits_of(logits, sequences, labels.outputs),
                               to_device(labels.tokens, questions.device()), at::Reduction::Sum);
  if (asks) {
    out.embeddings =
        gumbel_choose(logits_of(logits, sequences, sampled),
                      copy_to(all_noise(questions.examples, noise), questions.device()),
                      questions.model.llama().weights().tok_embeddings);
  }
  return out;
}

struct Answers {
  Tensor logits_NV;  // fp32
  Tensor labels_N;
  Tensor question_N;  // which of the questions each label belongs to
};

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

/// VQA, or AQA when a self-made question is given.
Answers answer(const Questions& questions, const SelfQuestion& self_question = {}) {
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
  const auto sequences = questions.lay_out(rows);
  Overlay overlay;
  if (self_question.defined()) {
    overlay = {question_tokens(questions.examples, rows, sequences, questions.device()),
               self_question};
  }
  return {logits_of(questions.logits(sequences, overlay), sequences, labels.outputs),
          to_device(labels.tokens, questions.device()),
          to_device(labels.question, questions.device())};
}

/// Sums values_N over the tokens of each of `count` questions.
Tensor sum_by_question(const Tensor& values_N, const Tensor& question_N, int64_t count) {
  return torch::zeros({count}, values_N.options()).index_add(0, question_N, values_N);
}

/// Gate on: each question's mean cross-entropy times its mean certainty, summed over the questions,
/// with the gradient through the gate too. Gate off, or no evidential loss to teach the
/// uncertainty: the mean over the micro-batch's `num_tokens` label tokens, these questions' part.
Tensor aqa_loss(const Questions& questions, const Answers& answers, int64_t num_tokens) {
  const auto& logits = answers.logits_NV;
  if (!questions.config.aqa_gate || questions.config.edl_mse == 0) {
    return cross_entropy(logits, answers.labels_N, at::Reduction::Sum) /
           static_cast<double>(num_tokens);
  }
  const auto& parameters = questions.model.parameters();
  const auto u = uncertainty_of(logits, parameters.scale_weight(), parameters.scale_bias());
  const auto surprise = cross_entropy(logits, answers.labels_N, at::Reduction::None);
  const auto sum = [&](const Tensor& values_N) {
    return sum_by_question(values_N, answers.question_N, questions.size());
  };
  const auto tokens = sum(torch::ones_like(u));
  return ((1 - sum(u) / tokens) * (sum(surprise) / tokens)).sum();
}

/// The answers' own terms, set in `losses`. @return the part of the total, with its graph.
Tensor answer_losses(const Questions& questions, const Answers& answers, Losses& losses) {
  const LossConfig& config = questions.config;
  const auto surprise = cross_entropy(answers.logits_NV, answers.labels_N, at::Reduction::Mean);
  losses.vqa = surprise.detach();
  if (config.edl_mse == 0) return surprise;
  const auto& parameters = questions.model.parameters();
  const auto evidence =
      make_evidence(answers.logits_NV, parameters.scale_weight(), parameters.scale_bias());
  losses.uncertainty = evidence.uncertainty_N.detach().mean();
  const auto error = evidential_mse(evidence, answers.labels_N).mean() * config.edl_mse;
  losses.edl_mse = error.detach();
  if (config.edl_reg == 0) return error;
  const auto divergence = evidential_regulariser(evidence, answers.labels_N) * config.edl_reg;
  losses.edl_reg = divergence.detach();
  return error + divergence;
}

/// How many label tokens of a prompt count, over all questions.
int64_t count_labels(std::span<const Example> batch, Prompt Example::*prompt) {
  Labels labels;
  for (const Example& example : batch) labels.append(example.*prompt, 0, 0);
  return std::ssize(labels.tokens);
}

/// Even parts of the batch, as few as keep the tokens of VAQ and AQA near the limit (0: one part).
std::vector<IndexRange> parts_of(std::span<const Example> batch, int64_t tokens_at_once) {
  int64_t tokens = 0;
  for (const Example& example : batch) tokens += example.vaq.size() + example.vqa.size();
  const int64_t wanted = tokens_at_once == 0 ? 1 : (tokens + tokens_at_once - 1) / tokens_at_once;
  const auto size = static_cast<int64_t>(batch.size()), count = std::min(wanted, size);
  std::vector<IndexRange> parts;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t first = size * i / count;
    parts.push_back({first, size * (i + 1) / count - first});
  }
  return parts;
}

}  // namespace

Tensor Losses::values() const {
  return torch::stack({total, vqa, edl_mse, edl_reg, vaq, aqa, uncertainty});
}

Losses add_gradients(const Bovila& model, std::span<const Example> batch, const LossConfig& config,
                     const NoiseSource& noise, const Passes& passes) {
  BOVILA_CHECK(!batch.empty(), "a micro-batch needs at least one question");
  const auto differentiate = [&](const Tensor& loss) {
    if (loss.requires_grad()) (passes.scale == 1 ? loss : loss * passes.scale).backward();
  };
  const SharedInputs shared(model, batch);
  const auto zero =
      torch::zeros({}, torch::TensorOptions(torch::kFloat32).device(model.llama().device()));
  Losses losses{zero, zero, zero, zero, zero, zero, zero};
  {
    const Questions all{model, batch, config, shared.video_BFD(), shared.adapters()};
    const auto loss = answer_losses(all, answer(all), losses);
    losses.total = loss.detach();
    differentiate(loss);
  }
  const int64_t num_vaq_labels = count_labels(batch, &Example::vaq);
  const int64_t num_vqa_labels = count_labels(batch, &Example::vqa);
  const bool asks = config.vaq > 0 || config.aqa > 0;
  for (const IndexRange& part :
       asks ? parts_of(batch, passes.tokens_at_once) : std::vector<IndexRange>()) {
    const Questions some{
        model, batch.subspan(static_cast<size_t>(part.first), static_cast<size_t>(part.count)),
        config, shared.video_BFD().narrow(0, part.first, part.count), shared.adapters()};
    const auto asked = ask(some, noise);
    auto loss = asked.surprise / static_cast<double>(num_vaq_labels) * config.vaq;
    losses.vaq = losses.vaq + loss.detach();
    if (config.aqa > 0) {
      const auto aqa = aqa_loss(some, answer(some, asked.embeddings), num_vqa_labels) * config.aqa;
      losses.aqa = losses.aqa + aqa.detach();
      loss = loss + aqa;
    }
    differentiate(loss);
  }
  losses.total = losses.total + losses.vaq + losses.aqa;
  shared.backward();
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
