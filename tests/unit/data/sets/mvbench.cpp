// MVBench's files: a task a file, options that vary, and each thing that can be wrong.
#include <nlohmann/json.hpp>

#include "bovila/data/annotations.h"
#include "tests/unit/temp_folder.h"

using namespace bovila;
using nlohmann::json;
using testing::contains;
using testing::error_of;
using testing::TempFolder;

namespace {

json mvbench_question(int options) {
  json question = {
      {"video", "v.mp4"}, {"question", "what happened"}, {"candidates", json::array()}};
  for (int i = 0; i < options; ++i) question["candidates"].push_back("It " + std::to_string(i));
  question["answer"] = "It 1";
  return question;
}

std::string mvbench_problem(const json& question) {
  const TempFolder folder;
  folder.write("state_change.json", json::array({question}).dump());
  return error_of([&] { read_annotations("mvbench", folder.path(), "all", false); });
}

json mvbench_with(const char* key, const json& value) {
  json question = mvbench_question(3);
  question[key] = value;
  return question;
}

}  // namespace

TEST_CASE("mvbench: all tasks in order of name, or one; times where a task has them") {
  const TempFolder folder;
  json timed = mvbench_question(5);
  timed["start"] = 1.5;
  timed["end"] = 4.0;
  folder.write("scene_transition.json", json::array({mvbench_question(4)}).dump());
  folder.write("action_count.json", json::array({mvbench_question(2), timed}).dump());
  const auto all = read_annotations("mvbench", folder.path(), "all", false);
  REQUIRE(all.size() == 3);
  CHECK(all[0].question_id == "action_count_0");
  CHECK(all[0].types == std::vector<std::string>{"action_count"});
  CHECK(all[0].options.size() == 2);
  CHECK(all[0].answer == 1);
  CHECK(all[0].clip[0].last == FrameSpan::kToEnd);
  CHECK(all[1].clip[0].first == 2);
  CHECK(all[1].clip[0].last == 5);
  CHECK(all[2].question_id == "scene_transition_0");
  CHECK(all[2].row == 2);
  const auto one = read_annotations("mvbench", folder.path(), "scene_transition", false);
  REQUIRE(one.size() == 1);
  CHECK(one[0].row == 0);
  CHECK(contains(error_of([&] { read_annotations("mvbench", folder.path(), "count", false); }),
                 "count.json is missing"));
}

TEST_CASE("mvbench: wrong answers, options and times are errors with row and value") {
  CHECK(contains(mvbench_problem(mvbench_with("answer", "It 9")),
                 "row 1: the answer \"It 9\" is not among the candidates: \"It 0\", \"It 1\""));
  CHECK(contains(mvbench_problem(mvbench_question(1)),
                 "\"candidates\": expected 2 to 26 texts, got 1"));
  CHECK(contains(mvbench_problem(mvbench_question(27)), "got 27"));
  CHECK(contains(mvbench_problem(mvbench_with("candidates", "a")), "expected a list of texts"));
  json timed = mvbench_with("start", 5);
  timed["end"] = 4;
  CHECK(contains(mvbench_problem(timed), "got 5 to 4"));
  const TempFolder empty;
  CHECK(contains(error_of([&] { read_annotations("mvbench", empty.path(), "all", false); }),
                 "expected MVBench's files TASK.json in data.folder, got none"));
}
