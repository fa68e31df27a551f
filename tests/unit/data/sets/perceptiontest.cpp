// Perception Test's one object of videos: questions, both kinds of types, and each thing that can
// be wrong.
#include <nlohmann/json.hpp>

#include "bovila/data/annotations.h"
#include "tests/unit/data/read_as.h"

using namespace bovila;
using nlohmann::json;
using testing::contains;
using testing::problem_of;
using testing::read_as;

namespace {

const std::string kPerceptionFile = "mc_question_valid.json";

json perception_question(int id) {
  return {{"id", id},
          {"question", "is the configuration of objects likely to be stable"},
          {"options", {"yes", "no", "I don't know"}},
          {"answer_id", 1},
          {"area", "physics"},
          {"reasoning", "predictive"},
          {"tag", {"stability"}}};
}

json perception_videos(const json& question) {
  return {{"video_1", {{"metadata", {{"split", "valid"}}}, {"mc_question", {question}}}},
          {"video_2", {{"metadata", {}}, {"object_tracking", json::array()}}}};
}

std::string perception_problem(const char* key, const json& value) {
  json question = perception_question(0);
  question[key] = value;
  return problem_of("perceptiontest", "mc_question_train.json", perception_videos(question).dump());
}

}  // namespace

TEST_CASE("perceptiontest: questions are read, with area and reasoning as types") {
  for (const char* file : {"mc_question_valid.json", "all_valid.json"}) {
    const auto samples =
        read_as("perceptiontest", file, perception_videos(perception_question(7)).dump(), "val");
    REQUIRE(samples.size() == 1);
    const Sample& sample = samples[0];
    CHECK(sample.question_id == "video_1_7");
    CHECK(sample.video_id == "video_1");
    CHECK(sample.question == "Is the configuration of objects likely to be stable?");
    CHECK(sample.options.size() == 3);
    CHECK(sample.answer == 1);
    CHECK(sample.types == std::vector<std::string>{"physics", "predictive"});
    CHECK(sample.clip[0].last == FrameSpan::kToEnd);
  }
}

TEST_CASE("perceptiontest: a test split hides its answers") {
  json question = perception_question(0);
  question.erase("answer_id");
  CHECK_FALSE(read_as("perceptiontest", "mc_question_test.json", perception_videos(question).dump(),
                      "test")[0]
                  .answer);
}

TEST_CASE("perceptiontest: wrong fields are errors with the video's place") {
  CHECK(contains(perception_problem("answer_id", 3),
                 "video 1: \"answer_id\": expected an option, 0 to 2, got 3"));
  CHECK(contains(perception_problem("options", json::array({"a"})),
                 "\"options\": expected 3 texts, got 1"));
  CHECK(contains(perception_problem("area", 5), "\"area\": expected a text, got 5"));
  CHECK(contains(perception_problem("question", nullptr), "\"question\": expected a text"));
  CHECK(contains(problem_of("perceptiontest", "mc_question_train.json", R"({"v": []})"),
                 "video 1: \"v\": expected an object ({...}), got array"));
  CHECK(contains(problem_of("perceptiontest", "mc_question_train.json", "[]"),
                 "expected one object ({...}), got array"));
  CHECK(
      contains(problem_of("perceptiontest", "mc_question_train.json", "{}"), "holds no question"));
  json twice = perception_videos(perception_question(0));
  twice["video_1"]["mc_question"].push_back(perception_question(0));
  CHECK(contains(problem_of("perceptiontest", "mc_question_train.json", twice.dump()),
                 "the id \"video_1_0\" is that of video 1 too"));
}
