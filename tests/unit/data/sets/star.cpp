// STAR's annotations: order of choices, types, and each thing that can be wrong.
#include <nlohmann/json.hpp>

#include "tests/unit/data/read_as.h"

using namespace bovila;
using nlohmann::json;
using testing::contains;
using testing::problem_of;
using testing::read_as;

namespace {

constexpr const char* kStarFile = "STAR_train.json";

json star_question() {
  return json::parse(R"({"question_id": "Sequence_T1_7", "question": "which Cup did he take",
    "video_id": "V1", "start": 2.5, "end": 7.5, "answer": "the cup.", "situations": {"0": [1, 2]},
    "choices": [{"choice_id": 2, "choice": "c"}, {"choice_id": 0, "choice": "the cup."},
                {"choice_id": 3, "choice": "d"}, {"choice_id": 1, "choice": "b"}]})");
}

std::string star_problem_with(const char* key, const json& value) {
  json changed = star_question();
  changed[key] = value;
  return problem_of("star", kStarFile, json::array({changed}).dump());
}

}  // namespace

TEST_CASE("star: a star_question is read with its choices in the order of their ids") {
  const auto samples = read_as("star", kStarFile, json::array({star_question()}).dump());
  REQUIRE(samples.size() == 1);
  const Sample& sample = samples[0];
  CHECK(sample.row == 0);
  CHECK(sample.question_id == "Sequence_T1_7");
  CHECK(sample.video_id == "V1");
  CHECK(sample.question == "Which cup did he take?");
  CHECK(sample.options == std::vector<std::string>{"the cup.", "b", "c", "d"});
  CHECK(sample.answer == 0);
  CHECK(sample.question_type == 2);
  CHECK_FALSE(sample.about_dialogue);
  CHECK_FALSE(sample.dialogue);
  REQUIRE(sample.clip.size() == 1);
  CHECK(sample.clip[0].video == "V1");
  CHECK(sample.clip[0].first == 2);  // round(2.5)
  CHECK(sample.clip[0].last == 9);   // round(7.5) + 1
}

TEST_CASE("star: the type is the id's prefix") {
  int type = 1;
  for (const char* name : {"Interaction", "Sequence", "Prediction", "Feasibility"}) {
    json changed = star_question();
    changed["question_id"] = std::string(name) + "_T5_1";
    CHECK(read_as("star", kStarFile, json::array({changed}).dump())[0].question_type == type++);
  }
  CHECK(contains(star_problem_with("question_id", "Counting_T1"), "expected a type (Interaction,"));
  CHECK(contains(star_problem_with("question_id", 3), "expected a text, got 3"));
}

TEST_CASE("star: each missing key is named") {
  for (const char* key : {"question_id", "question", "video_id", "start", "end", "choices"}) {
    json changed = star_question();
    changed.erase(key);
    CHECK(contains(problem_of("star", kStarFile, json::array({changed}).dump()),
                   fmt::format("row 1: \"{}\" is missing", key)));
  }
}

TEST_CASE("star: an answer that is not among the choices is shown with them") {
  const std::string message = star_problem_with("answer", "the cat");
  CHECK(contains(message, "the answer \"the cat\" is not among the choices: \"the cup.\", \"b\""));
  CHECK(contains(star_problem_with("answer", 2), "\"answer\": expected a text, got 2"));
}

TEST_CASE("star: choices of a wrong number, type or id are errors") {
  json choices = star_question()["choices"];
  choices.erase(3);
  CHECK(contains(star_problem_with("choices", choices), "expected 4 choices, got 3"));
  CHECK(contains(star_problem_with("choices", "abcd"), "\"choices\": expected a list of objects"));
  choices = star_question()["choices"];
  choices[0]["choice_id"] = 0;
  CHECK(contains(star_problem_with("choices", choices), "two choices have the choice_id 0"));
  choices[0]["choice_id"] = "0";
  CHECK(contains(star_problem_with("choices", choices), "\"choice_id\": expected a whole number"));
  choices = star_question()["choices"];
  choices[0].erase("choice");
  CHECK(contains(star_problem_with("choices", choices), "\"choice\" is missing"));
}

TEST_CASE("star: times that are negative, reversed, huge or no numbers are errors") {
  CHECK(contains(star_problem_with("start", -0.5),
                 "expected 0 <= start <= end in seconds, got -0.5 to"));
  CHECK(contains(star_problem_with("end", 2.4), "got 2.5 to 2.4"));
  CHECK(contains(star_problem_with("end", 1e200), "got 2.5 to 1e+200"));
  CHECK(contains(star_problem_with("start", "2.5"), "\"start\": expected a number, got \"2.5\""));
}

TEST_CASE("star: times that are null or NaN are the whole video") {
  for (const char* none : {"null", "NaN"}) {
    json changed = star_question();
    changed["start"] = 12345;
    std::string text = json::array({changed}).dump();
    text.replace(text.find("12345"), 5, none);
    const auto samples = read_as("star", kStarFile, text);
    REQUIRE(samples[0].clip.size() == 1);
    CHECK(samples[0].clip[0].first == 0);
    CHECK(samples[0].clip[0].last == FrameSpan::kToEnd);
  }
}

TEST_CASE("star: NaN in a text stays, and another word than NaN is named with its key and row") {
  json changed = star_question();
  changed["question"] = "what is \"NaN\", NaN or \\NaN?";
  std::string text = json::array({changed, changed}).dump();
  CHECK(read_as("star", kStarFile, json::array({changed}).dump())[0].question ==
        "What is \"nan\", nan or \\nan?");
  text.replace(text.rfind("7.5"), 3, "Infinity");
  const std::string message = problem_of("star", kStarFile, text);
  CHECK(contains(message, "not JSON: "));
  CHECK(contains(message, "in row 2 at \"end\":Infinity"));
  CHECK_FALSE(contains(message, "Is it complete?"));
  CHECK(contains(problem_of("star", kStarFile, text.substr(0, 50)), "Is it complete?"));
}
