// What the model asks itself: token by token the argmax of a VAQ pass over each question alone.
#include "bovila/evaluation/questioner.h"

#include <csignal>

#include "tests/unit/data/small_star.h"
#include "tests/unit/model/tiny_llama.h"

using namespace bovila;
using testing::SmallStar;
using testing::star_question;
using testing::tiny_bovila;

namespace {

nlohmann::json four_questions() {
  return nlohmann::json::array({star_question("Interaction_1", 0), star_question("Sequence_2", 1),
                                star_question("Sequence_with_more_words_3", 2),
                                star_question("Feasibility_4", 3)});
}

Bovila model_for(const SmallStar& star, int64_t spare_rows = 0) {
  auto params = testing::tiny_params();
  params.vocab_size = star.tokenizer->vocab_size() + spare_rows;
  return tiny_bovila(params);
}

/// The question of one example, each token by a pass of its own over what comes before it.
std::string asked_alone(const Bovila& model, const Example& example, const Tokenizer& tokenizer) {
  const torch::NoGradGuard no_grad;
  const auto video = model.video(torch::tensor(example.frames).view({1, -1, kFeatureDim}));
  const Prompt& vaq = example.vaq;
  std::vector<int32_t> tokens;
  for (int64_t end = vaq.label_start; end < vaq.size(); ++end) {
    auto row =
        SequenceTree::chain(std::span(vaq.tokens).first(static_cast<size_t>(end)), vaq.video_start);
    row.want(0, end - 1, 1);
    const auto sequences = lay_out(std::span(&row, 1), video.size(1), torch::kCPU);
    const auto logits = model.llama().logits(model.hidden(sequences, video, model.adapter_slots()));
    tokens.push_back(logits.argmax(-1).item<int32_t>());
  }
  return tokenizer.decode(tokens);
}

void questioner_no_progress(int64_t, int64_t) {}

}  // namespace

TEST_CASE(
    "the asked question is the likeliest token at each place, whatever else is in the batch") {
  const SmallStar star(four_questions());
  const Bovila model = model_for(star);
  std::vector<Example> batch;
  for (const int64_t row : {2, 0, 3}) batch.push_back(star.data->example(row));
  const auto asked = ask_questions(model, batch, *star.tokenizer);
  REQUIRE(asked.size() == 3);
  for (size_t i = 0; i < batch.size(); ++i) {
    const std::string alone = asked_alone(model, batch[i], *star.tokenizer);
    CHECK_FALSE(asked[i].empty());
    CHECK(alone.find(asked[i]) != std::string::npos);  // all of it but blanks at its ends
    CHECK(alone.size() - asked[i].size() <= 3);
  }
  CHECK(model.parameters().gradient().abs().sum().item<double>() == 0);
}

TEST_CASE("rows of the vocabulary that no token has are asked as nothing") {
  const SmallStar star(four_questions());
  const std::vector batch = {star.data->example(2)};
  const Bovila with_spare = model_for(star, /*spare_rows=*/20'000);  // likelier than all tokens
  const auto asked = ask_questions(with_spare, batch, *star.tokenizer);
  REQUIRE(asked.size() == 1);
  CHECK(asked[0].size() < ask_questions(model_for(star), batch, *star.tokenizer)[0].size());
}

TEST_CASE("every question of a split is asked once, the same in batches of any size") {
  SmallStar star(four_questions());
  const Bovila model = model_for(star);
  auto alone = MpiCommunicator::self();
  const Preemption preemption;
  std::vector<std::map<int64_t, std::string>> runs;
  for (const int64_t batch_size : {1, 2, 16}) {
    star.config.eval.batch_size = batch_size;
    runs.push_back(ask_split(model, *star.data, *star.tokenizer, star.config, alone, preemption,
                             questioner_no_progress)
                       .text);
    CHECK(runs.back() == runs.front());
  }
  CHECK(runs[0].size() == 4);
  CHECK(runs[0].at(2) ==
        ask_questions(model, std::vector{star.data->example(2)}, *star.tokenizer).front());
}

TEST_CASE("asking stops between two batches when it is told to") {
  SmallStar star(four_questions());
  star.config.eval.batch_size = 1;
  const Bovila model = model_for(star);
  auto alone = MpiCommunicator::self();
  const Preemption preemption;
  const auto asked = ask_split(model, *star.data, *star.tokenizer, star.config, alone, preemption,
                               [](int64_t done, int64_t) {
                                 if (done == 2) std::raise(SIGTERM);
                               });
  CHECK(asked.stopped.code == SIGTERM);
  CHECK(asked.text.size() == 2);
}

TEST_CASE("a split that hides all its answers has nothing to ask") {
  const SmallStar star(nlohmann::json::array({star_question("Sequence_1", -1)}));
  auto alone = MpiCommunicator::self();
  const Preemption preemption;
  CHECK(ask_split(model_for(star), *star.data, *star.tokenizer, star.config, alone, preemption,
                  questioner_no_progress)
            .text.empty());
}
