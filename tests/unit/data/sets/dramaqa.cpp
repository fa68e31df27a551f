// DramaQA's annotations: shots, scenes of several shots, and each thing that can be wrong.
#include <nlohmann/json.hpp>

#include "tests/unit/data/read_as.h"

using namespace bovila;
using nlohmann::json;
using testing::contains;
using testing::problem_of;
using testing::read_as;

namespace {

constexpr const char* kDramaqaFile = "AnotherMissOhQA_train_set.json";

json dramaqa_question() {
  return json::parse(R"({"vid": "AnotherMissOh01_001_0000", "que": "why", "qid": 12,
    "answers": ["a", "b", "c", "d", "e"], "correct_idx": 4, "shot_contained": [9, 11]})");
}

std::string dramaqa_problem_with(const char* key, const json& value) {
  json changed = dramaqa_question();
  changed[key] = value;
  return problem_of("dramaqa", kDramaqaFile, json::array({changed}).dump());
}

}  // namespace

TEST_CASE("dramaqa: a scene's clip is all rows of each of its shots") {
  const auto samples = read_as("dramaqa", kDramaqaFile, json::array({dramaqa_question()}).dump());
  REQUIRE(samples.size() == 1);
  const Sample& sample = samples[0];
  CHECK(sample.question_id == "12");
  CHECK(sample.question == "Why?");
  CHECK(sample.answer == 4);
  CHECK(sample.question_type == -1);
  REQUIRE(sample.clip.size() == 3);
  CHECK(sample.clip[0].video == "AnotherMissOh01_001_0009");
  CHECK(sample.clip[1].video == "AnotherMissOh01_001_0010");
  CHECK(sample.clip[2].video == "AnotherMissOh01_001_0011");
  CHECK(sample.clip[2].first == 0);
  CHECK(sample.clip[2].last == FrameSpan::kToEnd);
}

TEST_CASE("dramaqa: a question's level is its type") {
  json question = dramaqa_question();
  question["q_level_logic"] = 3;
  CHECK(read_as("dramaqa", kDramaqaFile, json::array({question}).dump())[0].types ==
        std::vector<std::string>{"Level 3"});
  CHECK(
      read_as("dramaqa", kDramaqaFile, json::array({dramaqa_question()}).dump())[0].types.empty());
  CHECK(contains(dramaqa_problem_with("q_level_logic", "high"),
                 "\"q_level_logic\": expected a whole number"));
}

TEST_CASE("dramaqa: a shot's clip is that shot, whatever shot_contained says") {
  json shot = dramaqa_question();
  shot["vid"] = "AnotherMissOh01_001_0078";
  shot.erase("shot_contained");
  const auto samples = read_as("dramaqa", kDramaqaFile, json::array({shot}).dump());
  REQUIRE(samples[0].clip.size() == 1);
  CHECK(samples[0].clip[0].video == "AnotherMissOh01_001_0078");
}

TEST_CASE("dramaqa: each missing key is named") {
  for (const char* key : {"vid", "que", "qid", "answers", "shot_contained"}) {
    json changed = dramaqa_question();
    changed.erase(key);
    CHECK(contains(problem_of("dramaqa", kDramaqaFile, json::array({changed}).dump()),
                   fmt::format("row 1: \"{}\" is missing", key)));
  }
}

TEST_CASE("dramaqa: wrong options, answers and shots are errors with their values") {
  CHECK(contains(dramaqa_problem_with("answers", {"a", "b"}),
                 "\"answers\": expected 5 texts, got 2"));
  CHECK(contains(dramaqa_problem_with("answers", {1, 2, 3, 4, 5}),
                 "expected a list of texts, got [1,2,3,4,5]"));
  CHECK(contains(dramaqa_problem_with("correct_idx", 5), "expected an option, 0 to 4, got 5"));
  CHECK(contains(dramaqa_problem_with("correct_idx", -1), "expected an option, 0 to 4, got -1"));
  CHECK(contains(dramaqa_problem_with("correct_idx", "4"), "expected a whole number, got \"4\""));
  for (const json& shots : {json{5, 3}, json{-1, 3}, json{1, 10000}, json{1, 2, 3}, json{0.5, 2}}) {
    CHECK(contains(dramaqa_problem_with("shot_contained", shots),
                   "expected a scene's first and last shot"));
  }
  CHECK(contains(dramaqa_problem_with("shot_contained", json::array()), "got []"));
}
