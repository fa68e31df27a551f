// One's own data set: all that a line may hold, and each thing that can be wrong.
#include "bovila/data/annotations.h"
#include "bovila/data/query.h"
#include "tests/unit/data/read_as.h"

using namespace bovila;
using testing::contains;
using testing::problem_of;
using testing::TempFolder;

namespace {

std::vector<Sample> read_lines_of(const std::string& lines, bool subtitles = false,
                                  std::optional<int64_t> rate = {}) {
  const TempFolder folder;
  folder.write("train.jsonl", lines);
  DataConfig config;
  config.dataset = "jsonl";
  config.folder = folder.path();
  config.subtitles = subtitles;
  config.frames_per_second = rate;
  return read_annotations(config, "train");
}

/// The problem of a line with these fields besides video, question and options a, b, c.
std::string line_problem(const std::string& fields) {
  return problem_of("jsonl", "train.jsonl",
                    R"({"video": "v", "question": "q", "options": ["a", "b", "c"])" + fields + "}");
}

}  // namespace

TEST_CASE("jsonl: the least that a line may hold") {
  const auto samples = read_lines_of(
      "{\"video\": \"v\", \"question\": \"what IS it\", \"options\": [\"a\", \"b\"], \"answer\": "
      "1}\n"
      "\n{\"video\": \"v\", \"question\": \"q\", \"options\": [\"a\", \"b\", \"c\"], \"answer\": "
      "\"C\"}\n");
  REQUIRE(samples.size() == 2);
  CHECK(samples[0].question_id == "0");
  CHECK(samples[0].video_id == "v");
  CHECK(samples[0].question == "What is it?");
  CHECK(samples[0].answer == 1);
  CHECK(samples[0].types.empty());
  CHECK(samples[0].question_type == -1);
  CHECK(samples[0].context.empty());
  CHECK(samples[0].clip[0].last == FrameSpan::kToEnd);
  CHECK(samples[1].options.size() == 3);
  CHECK(samples[1].answer == 2);
  CHECK(samples[1].row == 1);
}

TEST_CASE("jsonl: all that a line may hold") {
  const std::string line =
      R"({"id": 17, "video": "v", "question": "q", "options": ["a", "b"], "start": 1, "end": 2,
          "dialogue": "Hi.", "caption": " A\nman. ", "context": "x", "answer": "A", "type": ["t", "u"],
          "name": "scene", "qtype": 3})";
  std::string one_line = line;
  std::erase(one_line, '\n');
  const auto samples = read_lines_of(one_line, true, 3);
  const Sample& sample = samples.at(0);
  CHECK(sample.question_id == "17");
  CHECK(sample.video_id == "scene");
  CHECK(sample.clip[0].video == "v");
  CHECK(sample.clip[0].first == 3);
  CHECK(sample.clip[0].last == 9);
  CHECK(sample.about_dialogue);
  CHECK(sample.dialogue == "Hi.");
  CHECK(sample.context == "Caption: A man.\nContext: x\n");
  CHECK(sample.types == std::vector<std::string>{"t", "u"});
  CHECK(sample.question_type == 3);
  const auto without = read_lines_of(one_line);
  CHECK_FALSE(without[0].about_dialogue);
  CHECK_FALSE(without[0].dialogue);
}

TEST_CASE("jsonl: several videos are shown one after the other") {
  const auto samples = read_lines_of(
      R"({"video": ["v", "w"], "question": "q", "options": ["a", "b"], "answer": 0})");
  REQUIRE(samples[0].clip.size() == 2);
  CHECK(samples[0].clip[1].video == "w");
  CHECK(samples[0].video_id == "v w");
}

TEST_CASE("jsonl: answers are hidden in all lines or in none") {
  const std::string line = R"({"video": "v", "question": "q", "options": ["a", "b"]})";
  CHECK_FALSE(read_lines_of(line)[0].answer);
  const std::string answered =
      R"({"video": "v", "question": "q", "options": ["a", "b"], "answer": 0})";
  CHECK(contains(problem_of("jsonl", "train.jsonl", line + "\n" + answered),
                 "line 1: \"answer\" is missing; other questions have it"));
}

TEST_CASE("jsonl: every line that is wrong is an error with its number") {
  CHECK(contains(line_problem(", \"answer\": 3"),
                 "line 1: \"answer\": expected 0 to 2 or A to C, got 3"));
  CHECK(contains(line_problem(", \"answer\": -1"), "got -1"));
  CHECK(contains(line_problem(", \"answer\": \"D\""), "got \"D\""));
  CHECK(contains(line_problem(", \"answer\": \"a\""), "got \"a\""));
  CHECK(contains(line_problem(", \"answer\": 1.0"), "got 1.0"));
  CHECK(contains(line_problem(", \"answer\": 18446744073709551615"), "got 18446744073709551615"));
  CHECK(contains(line_problem(", \"qtype\": 1e3"), "\"qtype\": expected a whole number"));
  CHECK(contains(line_problem(", \"type\": 5"), "\"type\": expected a text, got number"));
  CHECK(contains(line_problem(", \"type\": \"acc\""), "figures of every log, got \"acc\""));
  CHECK(contains(line_problem(", \"id\": {}"), "\"id\": expected a text or a whole number"));
  CHECK(contains(line_problem(", \"start\": 1"), "\"start\" and \"end\" come together"));
  CHECK(contains(line_problem(", \"start\": 2, \"end\": 1"), "got 2 to 1"));
  CHECK(contains(line_problem(", \"answers\": 1"), "unknown key \"answers\""));
  CHECK(contains(line_problem(", \"id\": 1}\n{\"options\": [\"a\", \"b\"]"),
                 "line 2: \"question\" is missing or blank; \"video\" is missing"));
  CHECK(contains(problem_of("jsonl", "train.jsonl", R"({"video": "v", "options": ["a", "b"]})"),
                 "\"question\" is missing or blank"));
  CHECK(contains(problem_of("jsonl", "train.jsonl", R"({"video": "v", "question": "q"})"),
                 "\"options\": expected 2 to 26 texts, got 0"));
  CHECK(contains(problem_of("jsonl", "train.jsonl", "{"), "line 1: not JSON"));
  CHECK(contains(problem_of("jsonl", "train.jsonl", "7"), "expected an object"));
  const std::string twice =
      R"({"id": "x", "video": "v", "question": "q", "options": ["a", "b"], "answer": 0})";
  CHECK(contains(problem_of("jsonl", "train.jsonl", twice + "\n" + twice),
                 "line 2: the id \"x\" is that of line 1 too"));
}
