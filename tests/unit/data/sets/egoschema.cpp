// EgoSchema's two files: the subset with its answers, all questions without, and each thing that
// can be wrong.
#include <nlohmann/json.hpp>

#include "bovila/data/annotations.h"
#include "tests/unit/temp_folder.h"

using namespace bovila;
using nlohmann::json;
using testing::contains;
using testing::error_of;
using testing::TempFolder;

namespace {

json egoschema_question(const std::string& uid) {
  json question = {{"q_uid", uid}, {"google_drive_id", "x"}, {"question", "what does C do"}};
  for (int i = 0; i < 5; ++i) question["option " + std::to_string(i)] = "C " + std::to_string(i);
  return question;
}

struct Egoschema {
  std::vector<Sample> read(const std::string& split) {
    folder.write("questions.json", questions.dump());
    folder.write("subset_answers.json",
                 answers.is_string() ? answers.get<std::string>() : answers.dump());
    return read_annotations("egoschema", folder.path(), split, false);
  }
  std::string problem(const std::string& split = "subset") {
    return error_of([&] { read(split); });
  }

  json questions = json::array({egoschema_question("u1"), egoschema_question("u2")});
  json answers = {{"u2", 4}};
  TempFolder folder;
};

}  // namespace

TEST_CASE("egoschema: the subset has its answers, the whole hides them") {
  Egoschema files;
  const auto subset = files.read("subset");
  REQUIRE(subset.size() == 1);
  CHECK(subset[0].question_id == "u2");
  CHECK(subset[0].video_id == "u2");
  CHECK(subset[0].question == "What does c do?");
  CHECK(subset[0].options.size() == 5);
  CHECK(subset[0].options[4] == "C 4");
  CHECK(subset[0].answer == 4);
  CHECK(subset[0].row == 0);
  CHECK(subset[0].clip[0].last == FrameSpan::kToEnd);
  const auto all = files.read("test");
  REQUIRE(all.size() == 2);
  CHECK_FALSE(all[1].answer);
}

TEST_CASE("egoschema: wrong answers, questions and splits are errors with their place") {
  Egoschema files;
  CHECK(contains(files.problem("val"), "\"subset\""));
  files.answers = {{"u2", 5}};
  CHECK(contains(files.problem(), "entry 1: \"answer\": expected an option, 0 to 4, got 5"));
  files.answers = {{"u2", nullptr}};
  CHECK(contains(files.problem(), "entry 1: \"u2\" has no answer"));
  files.answers = {{"u2", 1}, {"u9", 0}};
  CHECK(contains(files.problem(), "1 questions of subset_answers.json are not in it, \"u9\""));
  files.answers = json::array({1});
  CHECK(contains(files.problem(), "expected one object ({...}), got array"));
  files.answers = "{\"u2\": ";
  CHECK(contains(files.problem(), "not JSON"));
  files.answers = std::string(1000, '[');
  CHECK(contains(files.problem(), "more than 64 deep in one another"));
  files.questions[1].erase("option 3");
  CHECK(contains(files.problem("test"), "row 2: \"option 3\" is missing"));
}
