// What all data sets share: the table, missing and broken files, the list of problems.
#include "bovila/data/annotations.h"

#include "tests/unit/data/read_as.h"

using namespace bovila;
using testing::contains;
using testing::error_of;
using testing::problem_of;
using testing::read_as;
using testing::TempFolder;

namespace {

std::string vlep_line(int id, const std::string& more = R"(, "answer": 1)") {
  return fmt::format(
      R"({{"example_id": {}, "vid_name": "v", "ts": [1, 2], "events": ["a", "b"]{}}})"
      "\n",
      id, more);
}

constexpr const char* kVlepFile = "vlep_train_release.jsonl";

}  // namespace

TEST_CASE("annotations: every data set of the table is found, another is refused by name") {
  CHECK(annotation_readers().size() >= 5);
  for (const AnnotationReader& reader : annotation_readers()) {
    CHECK(&find_annotation_reader(reader.name) == &reader);
  }
  const std::string message = error_of([] { find_annotation_reader("msrvtt"); });
  CHECK(contains(message, "star, dramaqa, vlep, tvqa, how2qa, nextqa, "));
  CHECK(contains(message, "msrvtt"));
}

TEST_CASE("annotations: a missing file is an error for every data set, with the official name") {
  for (const auto& [dataset, file] : std::vector<std::pair<std::string, std::string>>{
           {"star", "STAR_train.json"},
           {"dramaqa", "AnotherMissOhQA_train_set.json"},
           {"vlep", "vlep_train_release.jsonl"},
           {"tvqa", "tvqa_train.jsonl"},
           {"how2qa", "train.csv"},
           {"nextqa", "train.csv"},
           {"intentqa", "train.csv"},
           {"perceptiontest", "mc_question_train.json"},
           {"mvbench", "train.json"},
           {"jsonl", "train.jsonl"},
           {"mixture", "train.json"}}) {
    const TempFolder folder;
    const auto read = [&] { read_annotations(dataset, folder.path(), "train", false); };
    CHECK(contains(error_of(read), folder.path() + "/" + file + " is missing"));
    CHECK(contains(error_of(read), "data.folder"));
    std::filesystem::create_directory(folder.path() + "/" + file);
    CHECK(contains(error_of(read), "expected a file, got a folder"));
  }
}

TEST_CASE("annotations: a data set without subtitles refuses them") {
  const std::string message = error_of([] { read_annotations("star", "/nowhere", "train", true); });
  CHECK(contains(message, "star has no subtitles"));
  CHECK(contains(message, "data.subtitles"));
}

TEST_CASE("annotations: an empty file and an empty list hold no question") {
  CHECK(contains(problem_of("star", "STAR_train.json", "[]"), "holds no question"));
  CHECK(contains(problem_of("star", "STAR_train.json", ""), "not JSON"));
  CHECK(contains(problem_of("vlep", kVlepFile, "\n\n"), "holds no question"));
  CHECK(contains(problem_of("how2qa", "train.csv", ""), "is empty"));
}

TEST_CASE("annotations: a list that is cut, no list, or of no objects is an error with its place") {
  CHECK(contains(problem_of("star", "STAR_train.json", "[{\"question\": \"x\"},\n {"), "line 2"));
  CHECK(contains(problem_of("star", "STAR_train.json", "{}"), "expected a list of questions"));
  CHECK(contains(problem_of("star", "STAR_train.json", "7"), "expected a list of questions"));
  CHECK(contains(problem_of("star", "STAR_train.json", "[7, [{}]]"), "row 1: expected a question"));
  CHECK(contains(problem_of("star", "STAR_train.json", "[7, [{}]]"), "row 2: expected a question"));
  CHECK(contains(problem_of("star", "STAR_train.json", "[{\"question\": \"\xFF\"}]"), "not JSON"));
  CHECK(contains(problem_of("star", "STAR_train.json", std::string(60, '[')), "not JSON"));
}

TEST_CASE("annotations: lists without end in one another are an error, not the end of the stack") {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  const std::string said = "lists or objects more than 64 deep in one another";
  CHECK(contains(problem_of("star", "STAR_train.json", "[{\"question_id\": " + deep + "}]"), said));
  CHECK(contains(problem_of("vlep", kVlepFile, "{\"example_id\": " + deep + "}"),
                 "line 1: not a question: " + said));
}

TEST_CASE("annotations: JSON Lines may have blank lines, CRLF and a byte-order mark") {
  const std::string text = "\xEF\xBB\xBF" + vlep_line(1) + "\r\n\n" + vlep_line(2) + " \n";
  const auto samples = read_as("vlep", kVlepFile, text);
  REQUIRE(samples.size() == 2);
  CHECK(samples[1].row == 1);
  CHECK(samples[1].question_id == "2");
}

TEST_CASE("annotations: a broken line is listed and the lines behind it are still read") {
  const std::string message =
      problem_of("vlep", kVlepFile, "{\n[]\n" + vlep_line(1, "") + "{\"ts\"");
  CHECK(contains(message, "3 problems"));
  CHECK(contains(message, "line 1: not JSON"));
  CHECK(contains(message, "line 2: expected an object ({...}), got array"));
  CHECK(contains(message, "line 4: not JSON"));
}

TEST_CASE("annotations: the first 20 problems are listed and the rest is counted") {
  std::string text;
  for (int i = 0; i < 50; ++i) text += vlep_line(i, R"(, "answer": 7)");
  const std::string message = problem_of("vlep", kVlepFile, text);
  CHECK(contains(message, "50 problems"));
  CHECK(contains(message, "line 20: \"answer\": expected an option, 0 to 1, got 7"));
  CHECK_FALSE(contains(message, "line 21"));
  CHECK(contains(message, "and 30 more"));
}

TEST_CASE("annotations: an id that comes twice is an error with both places") {
  const std::string message =
      problem_of("vlep", kVlepFile, vlep_line(5) + vlep_line(6) + vlep_line(5));
  CHECK(contains(message, "line 3: the id \"5\" is that of line 1 too"));
}

TEST_CASE("annotations: answers may be hidden in all questions, not in some") {
  const auto samples =
      read_as("vlep", "vlep_test_release.jsonl", vlep_line(1, "") + vlep_line(2, ""), "test");
  REQUIRE(samples.size() == 2);
  CHECK_FALSE(samples[0].answer);
  CHECK_FALSE(samples[1].answer);
  const std::string message = problem_of(
      "vlep", kVlepFile, vlep_line(1) + vlep_line(2, "") + vlep_line(3, R"(, "answer": null)"));
  CHECK(contains(message, "line 2: \"answer\" is missing; other questions have it"));
  CHECK(contains(message, "line 3: \"answer\" is missing; other questions have it"));
}

TEST_CASE("annotations: a value is shown in short, also when it is long or not ASCII") {
  std::string value;
  for (int i = 0; i < 100; ++i) value += "\u00E9";
  const std::string message =
      problem_of("vlep", kVlepFile, "{\"example_id\": [\"" + value + "\"]}\n");
  CHECK(contains(message, "\"example_id\": expected a text or a whole number, got [\"\u00E9"));
  CHECK(contains(message, "..."));
  CHECK(message.size() < 1000);
}
