// TVQA's annotations and dialogues, and each thing that can be wrong.
#include <nlohmann/json.hpp>

#include "bovila/config/dump.h"
#include "tests/unit/data/read_as.h"

using namespace bovila;
using nlohmann::json;
using testing::contains;
using testing::error_of;
using testing::problem_of;
using testing::read_as;
using testing::TempFolder;

namespace {

constexpr const char* kTvqaFile = "tvqa_train.jsonl";

json tvqa_question() {
  return json::parse(R"({"qid": 7, "q": "Who?", "a0": "a", "a1": "b", "a2": "c", "a3": "d",
    "a4": "e", "answer_idx": 1, "vid_name": "v", "ts": "2.5-3.5", "show_name": "Friends"})");
}

json with(const char* key, const json& value) {
  json changed = tvqa_question();
  changed[key] = value;
  return changed;
}

std::string tvqa_problem_with(const char* key, const json& value) {
  return problem_of("tvqa", kTvqaFile, with(key, value).dump());
}

std::vector<Sample> read_with_srt(const json& tvqa_question, std::string_view srt) {
  const TempFolder folder;
  folder.write(kTvqaFile, tvqa_question.dump());
  folder.write("tvqa_subtitles/v.srt", srt);
  return read_annotations("tvqa", folder.path(), "train", true);
}

constexpr std::string_view kSrt =
    "1\n00:00:00,000 --> 00:00:01,000\ntoo early\n\n"
    "2\n00:00:01,000 --> 00:00:02,000\n- one\ntwo\n\n"
    "3\n00:00:03,000 --> 00:00:04,900\n three\n";

}  // namespace

TEST_CASE("tvqa: a tvqa_question is read, its clip has three rows a second") {
  const auto samples = read_as("tvqa", kTvqaFile, tvqa_question().dump());
  REQUIRE(samples.size() == 1);
  const Sample& sample = samples[0];
  CHECK(sample.question_id == "7");
  CHECK(sample.options == std::vector<std::string>{"a", "b", "c", "d", "e"});
  CHECK(sample.answer == 1);
  CHECK(sample.about_dialogue);
  CHECK_FALSE(sample.dialogue);
  REQUIRE(sample.clip.size() == 1);
  CHECK(sample.clip[0].first == 3 * 2);       // round(2.5)
  CHECK(sample.clip[0].last == 3 * (4 + 1));  // round(3.5)
}

TEST_CASE("tvqa: nan-nan is the whole video, with its whole dialogue") {
  const auto samples = read_with_srt(with("ts", "nan-nan"), kSrt);
  CHECK(samples[0].clip[0].first == 0);
  CHECK(samples[0].clip[0].last == FrameSpan::kToEnd);
  CHECK(samples[0].dialogue == " too early - one two  three");
}

TEST_CASE("tvqa: a dialogue has one blank before each text and blanks for line breaks") {
  CHECK(read_with_srt(tvqa_question(), kSrt)[0].dialogue == " - one two  three");
}

TEST_CASE("tvqa: an empty dialogue and a missing .srt leave the dialogue out") {
  CHECK_FALSE(read_with_srt(with("ts", "50-60"), kSrt)[0].dialogue);
  const auto samples = read_with_srt(with("vid_name", "w"), kSrt);
  CHECK_FALSE(samples[0].dialogue);
  CHECK(samples[0].about_dialogue);
}

TEST_CASE("tvqa: no subtitles are read from outside their folder") {
  const TempFolder folder;
  folder.write("secret.srt", kSrt);
  folder.write("tvqa_subtitles/secret", kSrt);
  for (const std::string& name : {std::string("../secret"), folder.path() + "/secret",
                                  std::string("secret\0", 7), std::string()}) {
    folder.write(kTvqaFile, with("vid_name", name).dump());
    CHECK(contains(
        error_of([&] { read_annotations("tvqa", folder.path(), "train", true); }),
        "line 1: \"vid_name\": expected a name that an .srt can have, got " + quote(name)));
  }
}

TEST_CASE("tvqa: subtitles that are asked for must have their folder") {
  const TempFolder folder;
  folder.write(kTvqaFile, tvqa_question().dump());
  CHECK(contains(error_of([&] { read_annotations("tvqa", folder.path(), "train", true); }),
                 "tvqa_subtitles: expected a folder"));
}

TEST_CASE("tvqa: the public test file has no answers") {
  json hidden = tvqa_question();
  hidden.erase("answer_idx");
  const auto samples = read_as("tvqa", "tvqa_test_public.jsonl", hidden.dump(), "test_public");
  CHECK_FALSE(samples[0].answer);
}

TEST_CASE("tvqa: times that are no span of seconds are errors with their value") {
  for (const char* ts : {"", "12", "a-b", "1-2-3", "-1-2", "1e999-2", "1.5.2-3", "inf-inf"}) {
    CHECK(contains(tvqa_problem_with("ts", ts), "\"ts\": expected start-end in seconds"));
  }
  CHECK(contains(tvqa_problem_with("ts", "4.5-4.4"), "got 4.5 to 4.4"));
  CHECK(contains(tvqa_problem_with("ts", 4.5), "\"ts\": expected a text, got 4.5"));
}

TEST_CASE("tvqa: wrong answers and options are errors with their value") {
  CHECK(contains(tvqa_problem_with("answer_idx", 5), "expected an option, 0 to 4, got 5"));
  CHECK(contains(tvqa_problem_with("answer_idx", "1"), "expected a whole number, got \"1\""));
  CHECK(contains(tvqa_problem_with("a3", 3), "\"a3\": expected a text, got 3"));
  for (const char* key : {"qid", "q", "a0", "a4", "vid_name", "ts"}) {
    json changed = tvqa_question();
    changed.erase(key);
    CHECK(contains(problem_of("tvqa", kTvqaFile, changed.dump()),
                   fmt::format("line 1: \"{}\" is missing", key)));
  }
}

TEST_CASE("tvqa: times that are null or NaN are the whole video") {
  CHECK(read_with_srt(with("ts", nullptr), kSrt)[0].clip[0].last == FrameSpan::kToEnd);
  std::string text = with("ts", 12345).dump();
  text.replace(text.find("12345"), 5, "NaN");
  CHECK(read_as("tvqa", kTvqaFile, text)[0].clip[0].last == FrameSpan::kToEnd);
}

TEST_CASE("tvqa: the repository's JSON Lines of subtitles stand in for a folder of .srt") {
  const TempFolder folder;
  folder.write(kTvqaFile, tvqa_question().dump());
  CHECK(contains(error_of([&] { read_annotations("tvqa", folder.path(), "train", true); }),
                 "or the file tvqa_preprocessed_subtitles.jsonl beside it, got neither"));
  json line = {{"vid_name", "v"}, {"sub", json::array()}};
  line["sub"].push_back({{"text", "too early"}, {"start", 0}, {"end", 1.0}});
  line["sub"].push_back({{"text", "- one\ntwo"}, {"start", 1.5}, {"end", 2.9}});
  line["sub"].push_back({{"text", " three"}, {"start", 3.1}, {"end", 4.9}});
  folder.write("tvqa_preprocessed_subtitles.jsonl", line.dump());
  const auto samples = read_annotations("tvqa", folder.path(), "train", true);
  CHECK(samples[0].dialogue == " - one two  three");
  CHECK(samples[0].dialogue == read_with_srt(tvqa_question(), kSrt)[0].dialogue);
}
