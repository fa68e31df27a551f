// Finding the tokenizer, parameters into and out of checkpoints, and rows that can be trained on.
#include "bovila/train/experiment.h"

#include "bovila/dist/agreement.h"
#include "tests/unit/data/small_star.h"
#include "tests/unit/model/tiny_llama.h"

using namespace bovila;
using testing::contains;
using testing::error_of;
using testing::SmallStar;
using testing::star_question;
using testing::TempFolder;

namespace {

AdapterParameters make_parameters(uint64_t seed) {
  return {testing::tiny_params(), testing::tiny_model(), false, seed, torch::kCPU};
}

std::string agreed_error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const AgreedError& error) {
    CHECK(error.code == ExitCode::kUserError);
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("the tokenizer is the deck's, or lies in the weights' folder, or beside it") {
  const TempFolder folder;
  ModelConfig config;
  config.llama = folder.path() + "/7B/";
  std::filesystem::create_directory(config.llama);
  const auto message = error_of([&] { find_tokenizer(config); });
  CHECK(contains(message,
                 "no tokenizer.model or tokenizer.json in " + config.llama + " or beside it"));
  CHECK(contains(message, "set model.tokenizer"));
  const auto beside = folder.write("tokenizer.model", "");
  CHECK(std::filesystem::equivalent(find_tokenizer(config), beside));
  const auto inside = folder.write("7B/tokenizer.model", "");
  CHECK(std::filesystem::equivalent(find_tokenizer(config), inside));
  config.tokenizer = "elsewhere.model";
  CHECK(find_tokenizer(config) == "elsewhere.model");
}

TEST_CASE("parameters come back from a checkpoint's arrays bit for bit") {
  TrainState state;
  auto first = make_parameters(1), second = make_parameters(2);
  state.arrays = to_arrays(first);
  CHECK_FALSE(torch::equal(first.flat(), second.flat()));
  from_arrays(state, second);
  CHECK(torch::equal(first.flat(), second.flat()));
}

TEST_CASE("a checkpoint that lacks a parameter, or has one of another shape, is refused") {
  TrainState state;
  auto parameters = make_parameters(1);
  state.arrays = to_arrays(parameters);
  state.arrays[2].shape = {16, 3};
  CHECK(
      contains(error_of([&] { from_arrays(state, parameters); }),
               "the parameter 'temporal_emb.weight' has shape [16, 3], this model's has [3, 16]"));
  state.arrays.erase(state.arrays.begin() + 2);
  CHECK(error_of([&] { from_arrays(state, parameters); }) ==
        "the checkpoint lacks the parameter 'temporal_emb.weight'");
}

TEST_CASE("a split that hides an answer cannot be trained on") {
  const SmallStar star(nlohmann::json::array({star_question("Sequence_1", -1)}));
  auto alone = MpiCommunicator::self();
  const Preemption preemption;
  const auto message =
      agreed_error_of([&] { trainable_rows(*star.data, OverLong::kSkip, alone, preemption); });
  CHECK(contains(message, "question 'Sequence_1' of the split 'val' has no answer"));
  CHECK(contains(message, "can be scored with --eval, not trained on"));
}

TEST_CASE("over-long questions are an error with the longest, or skipped, as the deck says") {
  const auto questions = nlohmann::json::array(
      {star_question("Sequence_1", 0), star_question("Sequence_" + std::string(60, 'q'), 1),
       star_question("Sequence_3", 2)});
  int64_t length = 0;
  {
    const SmallStar star(questions);
    length = std::max(star.data->example(0).vqa.size(), star.data->example(0).vaq.size()) + 3;
  }
  const SmallStar star(questions, length);
  auto alone = MpiCommunicator::self();
  const Preemption preemption;
  CHECK(trainable_rows(*star.data, OverLong::kSkip, alone, preemption) ==
        std::vector<int64_t>{0, 2});
  const auto message =
      agreed_error_of([&] { trainable_rows(*star.data, OverLong::kError, alone, preemption); });
  CHECK(contains(message,
                 "1 of 3 questions of the split 'val' has a prompt longer than "
                 "model.max_seq_len, the longest is question 'Sequence_qqq"));
  CHECK(contains(message, "raise model.max_seq_len or set data.over_long = \"skip\""));
}
