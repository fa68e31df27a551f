// Option scores over shared prefixes against each option scored as a sequence of its own.
#include "bovila/evaluation/evaluator.h"

#include <algorithm>

#include "bovila/objective/evidence.h"
#include "tests/unit/data/small_star.h"
#include "tests/unit/model/tiny_llama.h"
#include "tests/unit/objective/tiny_task.h"

using namespace bovila;
using testing::make_options;
using testing::SmallStar;
using testing::star_question;
using testing::tiny_bovila;
using torch::Tensor;

namespace {

struct Score {
  double loss, uncertainty;
};

/// One option alone: SPEC 7.
Score score_alone(const Bovila& model, const std::vector<float>& frames, const Prompt& prompt) {
  const torch::NoGradGuard no_grad;
  auto row = SequenceTree::chain(prompt.tokens, prompt.video_start);
  row.want(0, prompt.label_start - 1, prompt.size() - prompt.label_start);
  const auto video = model.video(torch::tensor(frames).view({1, -1, kFeatureDim}));
  const auto sequences = lay_out(std::span(&row, 1), video.size(1), torch::kCPU);
  const auto z = model.llama()
                     .logits(model.hidden(sequences, video, model.adapter_slots()))
                     .index_select(0, sequences.selected);
  const auto labels = torch::tensor(prompt.tokens).to(torch::kInt64).slice(0, prompt.label_start);
  const auto counted = labels.nonzero().view(-1);
  const auto surprise = -torch::log_softmax(z, -1).gather(1, labels.unsqueeze(1)).view(-1);
  const auto u = make_evidence(z, evidence_scale({}, model.parameters())).uncertainty_N;
  return {surprise.index_select(0, counted).mean().item<double>(),
          u.index_select(0, counted).mean().item<double>()};
}

void check_against_alone(const Bovila& model, const std::vector<OptionExample>& batch) {
  const auto scores = score_options(model, batch, LossConfig());
  REQUIRE(scores.size() == batch.size());
  for (size_t i = 0; i < batch.size(); ++i) {
    CHECK(scores[i].row == batch[i].row);
    REQUIRE(scores[i].loss.size() == batch[i].options.size());
    for (size_t k = 0; k < scores[i].loss.size(); ++k) {
      const Score expected = score_alone(model, batch[i].frames, batch[i].options[k]);
      CHECK(scores[i].loss[k] == doctest::Approx(expected.loss).epsilon(1e-5));
      CHECK(scores[i].uncertainty[k] == doctest::Approx(expected.uncertainty).epsilon(1e-5));
    }
  }
}

void no_progress(int64_t, int64_t) {}

}  // namespace

TEST_CASE("options on a shared prefix score as they do alone, whatever else is in the batch") {
  check_against_alone(
      tiny_bovila(),
      {make_options(3, {8, 9, 10}, {{12, 13, 14}, {12, 15, 14}, {12, 16, 14}}),
       make_options(1, {8}, {{12, 13, 14}, {12, 17, 14}, {12, 18, 14}, {12, 19, 14}}),
       make_options(2, {20, 21, 22, 8, 9, 10, 11}, {{12, 13, 14}, {12, 15, 14}})});
}

TEST_CASE("turned options behind stems of their own score as they do alone") {
  const Bovila model = tiny_bovila();
  const auto asked = [](int64_t row, std::vector<int32_t> question, const auto& labels) {
    return make_options(row, question, labels);
  };
  const std::vector<std::vector<int32_t>> labels = {{12, 13, 14}, {12, 15, 14}};
  OptionExample both = asked(3, {8, 9, 10}, labels);
  const OptionExample turned = asked(3, {8, 9, 16, 11}, labels);
  both.options.insert(both.options.end(), turned.options.begin(), turned.options.end());
  both.turns = 2;
  const auto scores = score_options(model, std::vector{both, asked(1, {8}, labels)}, LossConfig());
  REQUIRE(scores.size() == 2);
  REQUIRE(scores[0].loss.size() == 2);
  REQUIRE(scores[0].turned.size() == 2);
  CHECK(scores[1].turned.empty());
  for (size_t k = 0; k < 2; ++k) {
    const Score given = score_alone(model, both.frames, both.options[k]);
    CHECK(scores[0].loss[k] == doctest::Approx(given.loss).epsilon(1e-5));
    CHECK(scores[0].uncertainty[k] == doctest::Approx(given.uncertainty).epsilon(1e-5));
    const Score later = score_alone(model, both.frames, turned.options[k]);
    CHECK(scores[0].turned[k] == doctest::Approx(later.loss).epsilon(1e-5));
    CHECK(std::abs(later.loss - given.loss) > 1e-4);
  }
}

TEST_CASE("options whose labels differ in number and from the first token on score as alone") {
  check_against_alone(tiny_bovila(), {make_options(0, {8, 9}, {{13}, {14, 15, 16, 17}, {18, 13}})});
}

TEST_CASE("a label token 0 does not count in an option's score") {
  check_against_alone(tiny_bovila(), {make_options(0, {8, 9}, {{12, 0, 14}, {12, 15, 14}})});
}

TEST_CASE("without an evidential loss the uncertainty is 0 and the scores are the same") {
  const Bovila model = tiny_bovila();
  const std::vector batch = {make_options(0, {8, 9}, {{12, 13, 14}, {12, 15, 14}})};
  LossConfig config;
  const auto with = score_options(model, batch, config);
  config.edl_mse = 0;
  const auto without = score_options(model, batch, config);
  CHECK(without[0].loss == with[0].loss);
  CHECK(without[0].uncertainty == std::vector<double>{0, 0});
  CHECK(with[0].uncertainty[0] > 0);
}

TEST_CASE("the softmax gives an uncertainty without an evidential loss") {
  const Bovila model = tiny_bovila();
  const std::vector batch = {make_options(0, {8, 9}, {{12, 13, 14}, {12, 15, 14}})};
  LossConfig config;
  const auto published = score_options(model, batch, config);
  config.uncertainty = UncertaintySource::kSoftmax;
  const auto with = score_options(model, batch, config);
  config.edl_mse = 0;
  const auto without = score_options(model, batch, config);
  CHECK(without[0].loss == published[0].loss);
  CHECK(without[0].uncertainty == with[0].uncertainty);
  CHECK(without[0].uncertainty != published[0].uncertainty);
  CHECK(without[0].uncertainty[0] > 0);
}

TEST_CASE("the lowest loss wins, the first of equals") {
  CHECK(OptionScores{0, {3, 1, 2}, {}}.prediction() == 1);
  CHECK(OptionScores{0, {3, 1, 1}, {}}.prediction() == 1);
  CHECK(OptionScores{0, {1}, {}}.prediction() == 0);
}

TEST_CASE("scoring keeps no graph") {
  const Bovila model = tiny_bovila();
  score_options(model, std::vector{make_options(0, {8}, {{12}, {13}})}, LossConfig());
  CHECK(torch::GradMode::is_enabled());
  CHECK(model.parameters().gradient().abs().sum().item<double>() == 0);
}

TEST_CASE("every question of a split is scored once, in order, the same in batches of any size") {
  auto questions = nlohmann::json::array();
  for (int i = 0; i < 7; ++i) {
    questions.push_back(star_question(
        "Sequence_" + std::string(static_cast<size_t>(i * 5), 'x') + std::to_string(i), i % 4));
  }
  SmallStar star(questions);
  auto params = testing::tiny_params();
  params.vocab_size = star.tokenizer->vocab_size();
  const Bovila model = tiny_bovila(params);
  auto alone = MpiCommunicator::self();
  const Preemption preemption;
  std::vector<std::vector<OptionScores>> runs;
  for (const int64_t batch_size : {1, 3, 16}) {
    star.config.eval.batch_size = batch_size;
    runs.push_back(
        evaluate(model, *star.data, star.config, alone, preemption, {}, no_progress).scores);
    REQUIRE(runs.back().size() == 7);
    for (size_t i = 0; i < 7; ++i) {
      CHECK(runs.back()[i].row == static_cast<int64_t>(i));
      for (size_t k = 0; k < 4; ++k) {
        CHECK(runs.back()[i].loss[k] == doctest::Approx(runs.front()[i].loss[k]).epsilon(1e-5));
      }
    }
  }
}
