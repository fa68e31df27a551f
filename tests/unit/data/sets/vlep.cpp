// VLEP's annotations and dialogues, and each thing that can be wrong.
#include <nlohmann/json.hpp>

#include "tests/unit/data/read_as.h"

using namespace bovila;
using nlohmann::json;
using testing::contains;
using testing::error_of;
using testing::problem_of;
using testing::read_as;
using testing::TempFolder;

namespace {

constexpr const char* kVlepFile = "vlep_train_release.jsonl";

json vlep_question() {
  return json::parse(R"({"example_id": 3, "vid_name": "v", "ts": [3.5, 8.5],
                         "events": ["A b.", "c"], "answer": 0, "split": "train"})");
}

std::string vlep_problem_with(const char* key, const json& value) {
  json changed = vlep_question();
  changed[key] = value;
  return problem_of("vlep", kVlepFile, changed.dump());
}

constexpr const char* kSubtitles =
    R"({"vid_name": "v", "sub": [{"start": 0.2, "end": 3.9, "text": "too early"},
        {"start": 0.2, "end": 4.9, "text": "- one"}, {"start": 5, "end": 6, "text": " t-wo"},
        {"start": 5, "end": 7}, {"start": 7.9, "end": 9.0, "text": "too late"}]})";

std::string one_line(std::string text) {
  std::erase(text, '\n');
  return text + "\n";
}

}  // namespace

TEST_CASE("vlep: a vlep_question is read, its vlep_question is always the same") {
  const auto samples = read_as("vlep", kVlepFile, vlep_question().dump());
  REQUIRE(samples.size() == 1);
  const Sample& sample = samples[0];
  CHECK(sample.question_id == "3");
  CHECK(sample.question == "Which event is more likely to happen right after?");
  CHECK(sample.options == std::vector<std::string>{"A b.", "c"});
  CHECK(sample.answer == 0);
  CHECK(sample.about_dialogue);
  CHECK_FALSE(sample.dialogue);
  REQUIRE(sample.clip.size() == 1);
  CHECK(sample.clip[0].first == 4);  // round(3.5)
  CHECK(sample.clip[0].last == 9);   // round(8.5) + 1
}

TEST_CASE("vlep: the split val is the file dev") {
  const TempFolder folder;
  folder.write("vlep_dev_release.jsonl", vlep_question().dump());
  CHECK(read_annotations("vlep", folder.path(), "val", false).size() == 1);
}

TEST_CASE("vlep: a dialogue is the clip's texts without dashes and with nothing between") {
  const TempFolder folder;
  folder.write(kVlepFile, vlep_question().dump());
  folder.write("vlep_subtitles.jsonl", one_line(kSubtitles));
  const auto samples = read_annotations("vlep", folder.path(), "train", true);
  CHECK(samples[0].dialogue == " one two");
}

TEST_CASE("vlep: a video without subtitles has an empty dialogue, which stays in the prompt") {
  const TempFolder folder;
  json other = vlep_question();
  other["vid_name"] = "w";
  folder.write(kVlepFile, other.dump());
  folder.write("vlep_subtitles.jsonl", one_line(kSubtitles));
  CHECK(read_annotations("vlep", folder.path(), "train", true)[0].dialogue == "");
}

TEST_CASE("vlep: subtitles that are asked for must be there") {
  const TempFolder folder;
  folder.write(kVlepFile, vlep_question().dump());
  CHECK(contains(error_of([&] { read_annotations("vlep", folder.path(), "train", true); }),
                 "vlep_subtitles.jsonl is missing"));
}

TEST_CASE("vlep: wrong times, events and answers are errors with their values") {
  CHECK(contains(vlep_problem_with("ts", {1}), "\"ts\": expected 2 numbers, got 1"));
  CHECK(contains(vlep_problem_with("ts", {1, "2"}),
                 "\"ts\": expected a list of numbers, got [1,\"2\"]"));
  CHECK(contains(vlep_problem_with("ts", {5, 4}), "got 5 to 4"));
  CHECK(contains(vlep_problem_with("ts", {-1, 4}), "got -1 to 4"));
  CHECK(contains(vlep_problem_with("events", {"a"}), "\"events\": expected 2 texts, got 1"));
  CHECK(contains(vlep_problem_with("answer", 2), "expected an option, 0 to 1, got 2"));
  CHECK(contains(vlep_problem_with("answer", 1e300), "expected a whole number, got 1e+300"));
  CHECK(
      contains(vlep_problem_with("vid_name", nullptr), "\"vid_name\": expected a text, got null"));
}

TEST_CASE("vlep: each missing key is named") {
  for (const char* key : {"example_id", "vid_name", "ts", "events"}) {
    json changed = vlep_question();
    changed.erase(key);
    CHECK(contains(problem_of("vlep", kVlepFile, changed.dump()),
                   fmt::format("line 1: \"{}\" is missing", key)));
  }
}

TEST_CASE("vlep: times that are null or NaN are the whole video, with its whole dialogue") {
  for (const char* none : {"null", "[null, null]", "[NaN, NaN]", "NaN"}) {
    CAPTURE(none);
    const TempFolder folder;
    json changed = vlep_question();
    changed["ts"] = 12345;
    std::string text = changed.dump();
    text.replace(text.find("12345"), 5, none);
    folder.write(kVlepFile, text);
    folder.write("vlep_subtitles.jsonl", one_line(kSubtitles));
    const auto samples = read_annotations("vlep", folder.path(), "train", true);
    CHECK(samples[0].clip[0].last == FrameSpan::kToEnd);
    CHECK(samples[0].dialogue == "too early one twotoo late");
  }
  const std::string text = vlep_question().dump();
  CHECK(contains(problem_of("vlep", kVlepFile, text.substr(0, text.find("[3.5")) + "-Infinity}"),
                 "line 1: not JSON: "));
  CHECK(contains(problem_of("vlep", kVlepFile, text.substr(0, text.find("[3.5")) + "-Infinity}"),
                 "at \"ts\":-Infinity"));
}
