// The terms. Each pass is differentiated and freed before the next: VQA of the whole micro-batch,
// whose regulariser couples its questions; then VAQ and AQA, and QAV, of some questions at a time.
#include "bovila/objective/objective.h"

#include <ATen/record_function.h>
#include <torch/autograd.h>

#include <algorithm>

#include "bovila/core/error.h"
#include "bovila/core/random.h"
#include "bovila/objective/evidence.h"
#include "bovila/objective/passes.h"

namespace bovila {
namespace {

using torch::Tensor;

Tensor cross_entropy(const Scored& scored, at::Reduction::Reduction how) {
  return torch::cross_entropy_loss(scored.logits_NV, scored.labels_N, {}, how);
}

/// Sums values_N over the tokens of each of `count` questions.
Tensor sum_by_question(const Tensor& values_N, const Tensor& question_N, int64_t count) {
  return torch::zeros({count}, values_N.options()).index_add(0, question_N, values_N);
}

/// Gate on: each question's mean cross-entropy times its mean certainty, summed over the questions.
/// Gate off, or nothing that gives an uncertainty: the mean over the micro-batch's `num_tokens`
/// label tokens, these questions' part.
Tensor aqa_loss(const Questions& questions, const Scored& answers, int64_t num_tokens) {
  const LossConfig& config = questions.config;
  if (!config.gates_aqa()) {
    return cross_entropy(answers, at::Reduction::Sum) / static_cast<double>(num_tokens);
  }
  const auto scale = evidence_scale(config, questions.model.parameters());
  auto u = uncertainty_of(answers.logits_NV, scale);
  if (!config.gate_gradient) u = u.detach();
  const auto surprise = cross_entropy(answers, at::Reduction::None);
  const auto sum = [&](const Tensor& values_N) {
    return sum_by_question(values_N, answers.question_N, questions.size());
  };
  const auto tokens = sum(torch::ones_like(u));
  return ((1 - sum(u) / tokens) * (sum(surprise) / tokens)).sum();
}

/// AQA, weighted and set in `losses`. @return what is to be differentiated: the loss, or, where it
/// is to teach the questioner alone, a sum with its gradient towards the self-made question and no
/// other. `scale`: of gradients, so that those of 16 bits do not vanish on the way.
Tensor answer_own(const Questions& questions, const Tensor& self_question, int64_t num_tokens,
                  double scale, Losses& losses) {
  const LossConfig& config = questions.config;
  const bool cut = config.aqa_gradient != AqaGradient::kBoth;
  const bool asking = config.aqa_gradient == AqaGradient::kAsking && self_question.requires_grad();
  const auto question = cut ? self_question.detach().requires_grad_(asking) : self_question;
  const auto loss = aqa_loss(questions, answer(questions, question), num_tokens) * config.aqa;
  losses.aqa = losses.aqa + loss.detach();
  if (!asking) return loss;
  const auto grad = torch::autograd::grad({loss * scale}, {question}).front();
  return (self_question.to(torch::kFloat32) * grad.to(torch::kFloat32)).sum() / scale;
}

/// The mean over all slots of `num_questions`, these questions' part: slot i's frame is frame i.
Tensor qav_loss(const Tensor& logits_NF, int64_t num_questions) {
  const int64_t frames = logits_NF.size(1);
  const auto targets =
      torch::arange(frames, torch::TensorOptions(torch::kInt64).device(logits_NF.device()))
          .repeat({logits_NF.size(0) / frames});
  return torch::cross_entropy_loss(logits_NF, targets, {}, at::Reduction::Sum) /
         static_cast<double>(num_questions * frames);
}

/// The answers' own terms, set in `losses`. @return the part of the total, with its graph.
Tensor answer_losses(const Questions& questions, const Scored& answers, Losses& losses) {
  const LossConfig& config = questions.config;
  auto surprise = cross_entropy(answers, at::Reduction::Mean);
  losses.vqa = surprise.detach();
  if (!config.has_uncertainty()) return surprise;
  const auto scale = evidence_scale(config, questions.model.parameters());
  if (config.edl_mse == 0) {
    losses.uncertainty = uncertainty_of(answers.logits_NV.detach(), scale).mean();
    return surprise;
  }
  const auto evidence = make_evidence(answers.logits_NV, scale);
  losses.uncertainty = evidence.uncertainty_N.detach().mean();
  auto error = evidential_mse(evidence, answers.labels_N).mean() * config.edl_mse;
  losses.edl_mse = error.detach();
  if (config.edl_ce > 0) error = error + surprise * config.edl_ce;
  if (config.edl_reg == 0) return error;
  const auto divergence = evidential_regulariser(evidence, answers.labels_N) * config.edl_reg;
  losses.edl_reg = divergence.detach();
  return error + divergence;
}

/// Even parts of the batch, as few as keep the tokens of these prompts near the limit (0: one
/// part).
std::vector<IndexRange> parts_of(std::span<const Example> batch, int64_t tokens_at_once,
                                 std::initializer_list<Prompt Example::*> prompts) {
  int64_t tokens = 0;
  for (const Example& example : batch) {
    for (const auto prompt : prompts) tokens += (example.*prompt).size();
  }
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
  return torch::stack({total, vqa, edl_mse, edl_reg, vaq, aqa, qav, uncertainty});
}

Losses add_gradients(const Bovila& model, std::span<const Example> batch, const LossConfig& config,
                     const NoiseSource& noise, const Passes& passes) {
  BOVILA_CHECK(!batch.empty(), "a micro-batch needs at least one question");
  const auto differentiate = [&](const Tensor& loss) {
    RECORD_USER_SCOPE("backward");
    if (loss.requires_grad()) (passes.scale == 1 ? loss : loss * passes.scale).backward();
  };
  const SharedInputs shared(model, batch, config.qav > 0);
  const auto zero =
      torch::zeros({}, torch::TensorOptions(torch::kFloat32).device(model.llama().device()));
  Losses losses{zero, zero, zero, zero, zero, zero, zero, zero};
  {
    const Questions all{model, batch, config, shared.video_BFD(), shared.adapters()};
    const auto loss = answer_losses(all, answer(all), losses);
    losses.total = loss.detach();
    differentiate(loss);
  }
  const int64_t num_vaq_labels = count_labels(batch, &Example::vaq);
  const int64_t num_vqa_labels = count_labels(batch, &Example::vqa);
  const bool asks = config.vaq > 0 || config.aqa > 0;
  const auto questions_of = [&](const IndexRange& part) -> Questions {
    return {model, batch.subspan(static_cast<size_t>(part.first), static_cast<size_t>(part.count)),
            config, shared.video_BFD().narrow(0, part.first, part.count), shared.adapters()};
  };
  const auto parts = [&](bool wanted, std::initializer_list<Prompt Example::*> prompts) {
    return wanted ? parts_of(batch, passes.tokens_at_once, prompts) : std::vector<IndexRange>();
  };
  for (const IndexRange& part : parts(asks, {&Example::vaq, &Example::vqa})) {
    const Questions some = questions_of(part);
    const auto asked = ask(some, noise);
    auto loss = cross_entropy(asked.labels, at::Reduction::Sum) /
                static_cast<double>(num_vaq_labels) * config.vaq;
    losses.vaq = losses.vaq + loss.detach();
    if (config.aqa > 0) {
      loss = loss + answer_own(some, asked.self_question, num_vqa_labels, passes.scale, losses);
    }
    differentiate(loss);
  }
  for (const IndexRange& part : parts(config.qav > 0, {&Example::qav})) {
    const auto frames = shared.frames_BFD().narrow(0, part.first, part.count);
    const auto loss =
        qav_loss(frame_logits(questions_of(part), frames), std::ssize(batch)) * config.qav;
    losses.qav = losses.qav + loss.detach();
    differentiate(loss);
  }
  losses.total = losses.total + losses.vaq + losses.aqa + losses.qav;
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
