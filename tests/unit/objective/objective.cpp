// The objective against SPEC 5 computed pass by pass and question by question.
#include "bovila/objective/objective.h"

#include <doctest/doctest.h>

#include "bovila/core/error.h"
#include "bovila/objective/evidence.h"
#include "tests/unit/model/tiny_llama.h"
#include "tests/unit/objective/tiny_task.h"

using namespace bovila;
using testing::make_example;
using testing::three_examples;
using testing::tiny_bovila;
using torch::Tensor;

namespace {

Tensor ids_tensor(const std::vector<int32_t>& ids) {
  return torch::tensor(ids).to(torch::kInt64);
}

/// One question's passes, each a row of its own.
class PlainQuestion {
 public:
  PlainQuestion(const Bovila& model, const Example& example)
      : model_(model),
        example_(example),
        video_(model.video(torch::tensor(example.frames).view({1, -1, kFeatureDim}))) {}

  /// Logits [n, V] of a prompt's positions [first, first + n).
  Tensor logits(const Prompt& prompt, int64_t first, int64_t n, const Overlay& overlay = {}) const {
    auto row = SequenceTree::chain(prompt.tokens, prompt.video_start);
    row.want(0, first, n);
    const auto sequences = lay_out(std::span(&row, 1), testing::kFrames, torch::kCPU);
    return model_.llama()
        .logits(model_.hidden(sequences, video_, model_.adapter_slots(), overlay))
        .index_select(0, sequences.selected);
  }

  struct Scored {
    Tensor logits, labels;
  };
  /// Logits and labels of the label tokens that count.
  Scored score(const Prompt& prompt, const Overlay& overlay = {}) const {
    const int64_t n = prompt.size() - prompt.label_start;
    const auto labels = ids_tensor(prompt.tokens).slice(0, prompt.label_start);
    const auto counted = labels.nonzero().view(-1);
    const auto all = logits(prompt, prompt.label_start - 1, n, overlay);
    return {all.index_select(0, counted), labels.index_select(0, counted)};
  }

  /// The question that the model asks itself, over the VQA prompt's.
  Overlay own_question(const NoiseSource& noise, bool align, bool detach) const {
    const int64_t n = example_.vqa.question_len;
    const auto z = logits(example_.vaq, example_.vaq.label_start - (align ? 1 : 0), n);
    const auto soft = torch::softmax(z + noise(example_, n), -1);
    const auto hard = torch::one_hot(soft.argmax(-1), soft.size(1)).to(torch::kFloat32);
    const auto chosen =
        (hard - soft.detach() + soft).matmul(model_.llama().weights().tok_embeddings);
    const auto places = torch::arange(n) + example_.vqa.question_start;
    return {places, detach ? chosen.detach() : chosen};
  }

 private:
  const Bovila& model_;
  const Example& example_;
  Tensor video_;
};

Tensor mean_cross_entropy(const Tensor& logits, const Tensor& labels) {
  return -torch::log_softmax(logits, -1).gather(1, labels.unsqueeze(1)).mean();
}

/// SPEC 5, term by term. With `detach` no gradient passes through the self-made question.
Losses plain_losses(const Bovila& model, const std::vector<Example>& batch, const LossConfig& c,
                    const NoiseSource& noise, bool detach = false) {
  std::vector<Tensor> vqa, vqa_labels, vaq, vaq_labels, aqa;
  auto gated = torch::zeros({});
  const auto evidence_of = [&](const Tensor& logits) {
    return make_evidence(logits, evidence_scale(c, model.parameters()));
  };
  for (const Example& example : batch) {
    const PlainQuestion question(model, example);
    const auto given = question.score(example.vqa), asked = question.score(example.vaq);
    vqa.push_back(given.logits);
    vqa_labels.push_back(given.labels);
    vaq.push_back(asked.logits);
    vaq_labels.push_back(asked.labels);
    const auto own = question.score(example.vqa, question.own_question(noise, c.aqa_align, detach));
    aqa.push_back(own.logits);
    const auto u = evidence_of(own.logits).uncertainty_N.mean();
    gated = gated +
            (1 - (c.gate_gradient ? u : u.detach())) * mean_cross_entropy(own.logits, own.labels);
  }
  const auto labels = torch::cat(vqa_labels), logits = torch::cat(vqa);
  const auto evidence = evidence_of(logits);
  const auto zero = torch::zeros({});
  Losses out{zero, zero, zero, zero, zero, zero, zero, zero};
  out.vqa = mean_cross_entropy(logits, labels);
  if (c.edl_mse > 0) {
    out.edl_mse = evidential_mse(evidence, labels).mean() * c.edl_mse;
    out.edl_reg = evidential_regulariser(evidence, labels) * c.edl_reg;
  }
  if (c.has_uncertainty()) out.uncertainty = evidence.uncertainty_N.mean();
  out.vaq = mean_cross_entropy(torch::cat(vaq), torch::cat(vaq_labels)) * c.vaq;
  out.aqa = (c.gates_aqa() ? gated : mean_cross_entropy(torch::cat(aqa), labels)) * c.aqa;
  out.total = (c.edl_mse > 0 ? out.edl_mse + out.edl_reg + out.vqa * c.edl_ce : out.vqa) + out.vaq +
              out.aqa;
  return out;
}

Tensor gradient_of(Bovila& model, const Tensor& loss) {
  model.parameters().gradient().zero_();
  loss.backward();
  return model.parameters().gradient().clone();
}

double relative_error(const Tensor& got, const Tensor& expected) {
  return ((got - expected).norm() / expected.norm()).item<double>();
}

/// The mean over slots and questions of the QAV pass, each question a row of its own.
Tensor plain_qav(const Bovila& model, const std::vector<Example>& batch, double tau) {
  auto sum = torch::zeros({});
  for (const Example& example : batch) {
    const auto frames = torch::tensor(example.frames).view({1, -1, kFeatureDim});
    auto row = SequenceTree::chain(example.qav.tokens, example.qav.video_start);
    row.want(0, example.qav.video_start - 1, testing::kFrames);
    const auto sequences = lay_out(std::span(&row, 1), testing::kFrames, torch::kCPU);
    const auto hidden = model.hidden(sequences, model.video(frames), model.adapter_slots());
    const auto logits = hidden.matmul(model.project(frames)[0].t()) / tau;
    sum = sum - torch::log_softmax(logits, -1).diagonal().mean();
  }
  return sum / static_cast<double>(batch.size());
}

NoiseSource noise() {
  return named_noise(3, 1, 24);
}

/// Weights at which every term is seen in the total.
LossConfig full() {
  LossConfig config;
  config.edl_reg = 1e-2;
  return config;
}

void check_against_plain(const LossConfig& config) {
  Bovila model = tiny_bovila(testing::tiny_params(), 3, config.train_scale_proj);
  const auto batch = three_examples();
  model.parameters().gradient().zero_();
  const auto got = add_gradients(model, batch, config, noise());
  const auto gradient = model.parameters().gradient().clone();
  const auto expected = plain_losses(model, batch, config, noise());
  const auto a = got.values(), b = expected.values().detach();
  for (size_t i = 0; i < kLossNames.size(); ++i) {
    CAPTURE(kLossNames[i]);
    const auto at = static_cast<int64_t>(i);
    CHECK(a[at].item<double>() == doctest::Approx(b[at].item<double>()).epsilon(1e-5));
  }
  CHECK(relative_error(gradient, gradient_of(model, expected.total)) < 1e-4);
}

}  // namespace

TEST_CASE("losses and gradients equal the passes computed one by one") {
  check_against_plain(full());
}

TEST_CASE("with the gate off AQA is the mean over all label tokens") {
  LossConfig config = full();
  config.aqa_gate = false;
  check_against_plain(config);
}

TEST_CASE("without the evidential loss the answers' cross-entropy counts and no gate is there") {
  LossConfig config = full();
  config.edl_mse = 0;
  check_against_plain(config);
  Bovila model = tiny_bovila();
  const auto losses = add_gradients(model, three_examples(), config, noise());
  CHECK(losses.edl_mse.item<double>() == 0);
  CHECK(losses.edl_reg.item<double>() == 0);
  CHECK(losses.uncertainty.item<double>() == 0);
}

TEST_CASE("aligned self-made questions are sampled one position earlier") {
  LossConfig config = full();
  config.aqa_align = true;
  check_against_plain(config);
}

TEST_CASE("a trained scale_proj gets its gradient from both evidential terms and the gate") {
  LossConfig config = full();
  config.train_scale_proj = true;
  check_against_plain(config);
}

TEST_CASE("cross-entropy stands beside the evidential terms with its weight") {
  LossConfig config = full();
  config.edl_ce = 0.3;
  check_against_plain(config);
}

TEST_CASE("a gate that is not differentiated is a weight") {
  LossConfig config = full();
  config.gate_gradient = false;
  check_against_plain(config);
}

TEST_CASE("the softmax's uncertainty takes scale_proj's place, with and without evidential loss") {
  for (const double edl_mse : {0.0, 1.0}) {
    LossConfig config = full();
    config.edl_mse = edl_mse;
    config.uncertainty = UncertaintySource::kSoftmax;
    check_against_plain(config);
    Bovila model = tiny_bovila();
    const auto before = add_gradients(model, three_examples(), config, noise());
    CHECK(before.uncertainty.item<double>() > 0);
    model.parameters().scale_bias().data().fill_(100);
    const auto after = add_gradients(model, three_examples(), config, noise());
    CHECK(torch::equal(before.values(), after.values()));
  }
}

TEST_CASE("answering self-made questions teaches both sides, or the one that is asked for") {
  LossConfig config = full();
  Bovila model = tiny_bovila();
  const auto gradient_with = [&](AqaGradient flow, double scale = 1) {
    config.aqa_gradient = flow;
    model.parameters().gradient().zero_();
    const auto losses = add_gradients(model, three_examples(), config, noise(), {scale, 0});
    return std::pair(losses.values(), model.parameters().gradient() / scale);
  };
  const auto [losses, both] = gradient_with(AqaGradient::kBoth);
  const auto [losses_of_asking, asking] = gradient_with(AqaGradient::kAsking);
  const auto [losses_of_answering, answering] = gradient_with(AqaGradient::kAnswering);
  CHECK(torch::equal(losses, losses_of_asking));
  CHECK(torch::equal(losses, losses_of_answering));
  const auto plain = plain_losses(model, three_examples(), config, noise(), /*detach=*/true);
  CHECK(relative_error(answering, gradient_of(model, plain.total)) < 1e-4);
  CHECK(relative_error(gradient_with(AqaGradient::kAsking, 1024).second, asking) < 1e-5);
  config.aqa = 0;
  const auto without = gradient_with(AqaGradient::kBoth).second;
  CHECK(relative_error(asking + answering - without, both) < 1e-4);
  CHECK(relative_error(asking, both) > 1e-3);
  CHECK(relative_error(asking, without) > 1e-3);
  const torch::NoGradGuard no_grad;
  config.aqa = 0.25;
  config.aqa_gradient = AqaGradient::kAsking;
  CHECK(torch::equal(add_gradients(model, three_examples(), config, noise()).values(), losses));
}

TEST_CASE("gradients pass through the self-made question into the VAQ pass") {
  LossConfig config = full();
  config.vaq = 0;  // the only way to the VAQ pass is the self-made question
  Bovila model = tiny_bovila();
  const auto batch = three_examples();
  const auto gradient_with = [&](double weight) {
    LossConfig weighted = config;
    weighted.aqa = weight;
    model.parameters().gradient().zero_();
    add_gradients(model, batch, weighted, noise());
    return model.parameters().gradient().clone();
  };
  const auto got = gradient_with(config.aqa) - gradient_with(0);
  const auto attached = gradient_of(model, plain_losses(model, batch, config, noise()).aqa);
  const auto detached = gradient_of(model, plain_losses(model, batch, config, noise(), true).aqa);
  CHECK(relative_error(got, attached) < 1e-4);
  CHECK(relative_error(got, detached) > 1e-2);
}

TEST_CASE("a term with weight 0 is 0, and its pass is left out") {
  LossConfig config = full();
  config.vaq = config.aqa = 0;
  Bovila model = tiny_bovila();
  const NoiseSource never = [](const Example&, int64_t) -> Tensor {
    FAIL("noise was drawn");
    return {};
  };
  const auto losses = add_gradients(model, three_examples(), config, never);
  for (const Tensor& term : {losses.vaq, losses.aqa}) CHECK(term.item<double>() == 0);
  CHECK(torch::equal(losses.total, losses.edl_mse + losses.edl_reg));

  config.vaq = 0.5;
  const auto asking = add_gradients(model, three_examples(), config, never);
  CHECK(asking.vaq.item<double>() > 0);
  CHECK(asking.aqa.item<double>() == 0);

  config.edl_reg = 0;
  CHECK(add_gradients(model, three_examples(), config, never).edl_reg.item<double>() == 0);
}

TEST_CASE("the gated AQA term is a sum over the questions of the batch") {
  LossConfig config = full();
  Bovila model = tiny_bovila();
  const auto batch = three_examples();
  double sum = 0;
  for (const Example& example : batch) {
    sum += add_gradients(model, std::span(&example, 1), config, noise()).aqa.item<double>();
  }
  CHECK(add_gradients(model, batch, config, noise()).aqa.item<double>() ==
        doctest::Approx(sum).epsilon(1e-5));
}

TEST_CASE("a question that is longer in VQA than in VAQ is sampled to its end") {
  auto example = make_example(1, {8, 9}, {12, 13, 14});
  example.vqa = testing::vqa_prompt({8, 9, 10, 11, 15}, {12, 13, 14});
  Bovila model = tiny_bovila();
  const auto losses = add_gradients(model, std::span(&example, 1), full(), noise());
  CHECK(std::isfinite(losses.total.item<double>()));
  CHECK(model.parameters().gradient().isfinite().all().item<bool>());
}

TEST_CASE("the limit on tokens at once and the scale change neither losses nor gradient") {
  Bovila model = tiny_bovila();
  const auto batch = three_examples();
  auto gradient = model.parameters().gradient();
  gradient.zero_();
  const auto whole = add_gradients(model, batch, full(), noise());
  const auto expected = gradient.clone();
  for (const int64_t limit : {1, 60, 90}) {
    gradient.zero_();
    const auto parts = add_gradients(model, batch, full(), noise(), {4, limit});
    CHECK(torch::allclose(parts.values(), whole.values(), 1e-5, 1e-7));
    CHECK(relative_error(gradient / 4, expected) < 1e-5);
  }
}

TEST_CASE("without gradients the losses are the same and the parameters' gradient stays") {
  Bovila model = tiny_bovila();
  model.parameters().gradient().fill_(3);
  const torch::NoGradGuard no_grad;
  const auto losses = add_gradients(model, three_examples(), full(), noise());
  CHECK(model.parameters().gradient().eq(3).all().item<bool>());
  const torch::AutoGradMode with_grad(true);
  const auto expected = add_gradients(model, three_examples(), full(), noise());
  CHECK(torch::allclose(losses.values(), expected.values(), 1e-6, 1e-8));
}

TEST_CASE("QAV tells each frame among its clip's, and is a mean over slots and questions") {
  LossConfig config = full();
  config.vaq = config.aqa = 0;
  Bovila model = tiny_bovila();
  const auto batch = three_examples();
  auto gradient = model.parameters().gradient();
  gradient.zero_();
  add_gradients(model, batch, config, noise());
  const auto without = gradient.clone();
  config.qav = 0.5;
  config.qav_tau = 3;
  const auto expected = plain_qav(model, batch, config.qav_tau) * config.qav;
  const auto expected_gradient = gradient_of(model, expected);
  for (const int64_t limit : {0, 1, 40}) {
    gradient.zero_();
    const auto losses = add_gradients(model, batch, config, noise(), {1, limit});
    CHECK(losses.qav.item<double>() == doctest::Approx(expected.item<double>()).epsilon(1e-5));
    CHECK(losses.total.item<double>() ==
          doctest::Approx((losses.edl_mse + losses.edl_reg + losses.qav).item<double>()));
    CHECK(relative_error(gradient - without, expected_gradient) < 1e-4);
  }
}

TEST_CASE("without QAV no prompt of it is needed") {
  auto batch = three_examples();
  for (Example& example : batch) example.qav = {};
  Bovila model = tiny_bovila();
  CHECK(add_gradients(model, batch, full(), noise()).qav.item<double>() == 0);
}

TEST_CASE("an empty micro-batch is a program error") {
  Bovila model = tiny_bovila();
  CHECK_THROWS_AS(add_gradients(model, {}, full(), noise()), ProgramError);
}

TEST_CASE("noise follows from seed, epoch and row, not from order or batch") {
  const auto batch = three_examples();
  const auto first = named_noise(3, 1, 24)(batch[0], 5);
  const auto source = named_noise(3, 1, 24);
  source(batch[2], 7);
  CHECK(torch::equal(source(batch[0], 5), first));
  CHECK_FALSE(torch::equal(source(batch[1], 5), first));
  CHECK_FALSE(torch::equal(named_noise(4, 1, 24)(batch[0], 5), first));
  CHECK_FALSE(torch::equal(named_noise(3, 2, 24)(batch[0], 5), first));
}
