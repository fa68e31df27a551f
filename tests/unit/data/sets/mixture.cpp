// Several sets in one: names, weights, what each set keeps of its own, and each thing that can be
// wrong with the list.
#include <nlohmann/json.hpp>
#include <set>

#include "bovila/data/annotations.h"
#include "tests/unit/temp_folder.h"

using namespace bovila;
using nlohmann::json;
using testing::contains;
using testing::error_of;
using testing::TempFolder;

namespace {

const std::string kRow = R"({"vid_name": "v", "ts": [1, 2], "events": ["a", "b"], "answer": 1)";

/// A folder with VLEP's, NExT-QA's and one's own questions in folders, and a list of them.
class Mixture {
 public:
  Mixture() {
    for (const char* name : {"vlep", "nextqa", "own", "mix"}) {
      std::filesystem::create_directory(folder_.path() + "/" + name);
    }
    std::string vlep, own;
    for (int i = 0; i < 10; ++i) vlep += fmt::format("{}, \"example_id\": {}}}\n", kRow, i);
    put("vlep/vlep_train_release.jsonl", vlep);
    put("vlep/vlep_dev_release.jsonl", vlep);
    put("nextqa/train.csv",
        "video,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4\n"
        "7,1,1,1,why,2,0,CW,a,b,c,d,e\n7,1,1,1,when,2,1,TP,a,b,c,d,e\n");
    put("own/train.jsonl",
        R"({"video": "w", "question": "q", "options": ["a", "b", "c"], "answer": 0, "start": 1,)"
        R"( "end": 2, "type": "things", "dialogue": "Hi."})");
  }

  void put(const std::string& name, const std::string& text) { folder_.write(name, text); }
  std::string path() const { return folder_.path(); }

  std::vector<Sample> read(const json& list, const std::string& split = "train",
                           bool subtitles = false) {
    put("mix/" + split + ".json", list.dump());
    DataConfig config;
    config.dataset = "mixture";
    config.folder = path() + "/mix";
    config.subtitles = subtitles;
    return read_annotations(config, split);
  }
  std::string problem(const json& list, const std::string& split = "train") {
    return error_of([&] { read(list, split); });
  }

 private:
  TempFolder folder_;
};

json part(const std::string& dataset, const json& more = json::object()) {
  json out = {{"dataset", dataset}, {"folder", "../" + (dataset == "jsonl" ? "own" : dataset)}};
  out.update(more);
  return out;
}

}  // namespace

TEST_CASE("mixture: each set keeps its options and its types, under its name") {
  Mixture mixture;
  const auto samples =
      mixture.read({part("vlep"), part("nextqa"), part("jsonl", {{"name", "own"}})});
  REQUIRE(samples.size() == 13);
  for (size_t row = 0; row < samples.size(); ++row) CHECK(samples[row].row == int64_t(row));
  CHECK(samples[3].question_id == "vlep/3");
  CHECK(samples[3].types == std::vector<std::string>{"vlep"});
  CHECK(samples[3].video_id == "v");
  CHECK(samples[10].question_id == "nextqa/7_0");
  CHECK(samples[10].options.size() == 5);
  CHECK(samples[10].types == std::vector<std::string>{"nextqa", "nextqa/CW", "nextqa/Acc_C"});
  CHECK(samples[11].types == std::vector<std::string>{"nextqa", "nextqa/TP", "nextqa/Acc_T"});
  CHECK(samples[11].question_type == -1);
  CHECK(samples[12].types == std::vector<std::string>{"own", "own/things"});
  CHECK(samples[12].clip[0].first == 1);
}

TEST_CASE("mixture: a weight repeats questions, and draws a part of them, the same at each read") {
  Mixture mixture;
  const json list = {part("vlep", {{"weight", 2.3}}), part("nextqa", {{"weight", 0.1}})};
  const auto samples = mixture.read(list);
  REQUIRE(samples.size() == 24);  // 2 * 10 + 3, and at least one
  std::set<std::string> ids;
  for (const Sample& sample : samples) ids.insert(sample.question_id);
  CHECK(ids.size() == samples.size());
  CHECK(samples[13].question_id == "vlep/3#2");
  CHECK(samples[20].question_id.ends_with("#3"));
  CHECK(samples[23].types.front() == "nextqa");
  const auto again = mixture.read(list);
  for (size_t row = 0; row < samples.size(); ++row) {
    CHECK(again[row].question_id == samples[row].question_id);
  }
}

TEST_CASE("mixture: a share of a set is drawn from all of it") {
  Mixture mixture;
  std::string lines;
  for (int i = 0; i < 1000; ++i) lines += fmt::format("{}, \"example_id\": {}}}\n", kRow, i);
  mixture.put("vlep/vlep_train_release.jsonl", lines);
  const auto samples = mixture.read(json::array({part("vlep", {{"weight", 0.25}})}));
  REQUIRE(samples.size() == 250);
  const auto in_first_half = std::ranges::count_if(
      samples, [](const Sample& sample) { return std::stoi(sample.question_id.substr(5)) < 500; });
  CHECK(in_first_half > 95);
  CHECK(in_first_half < 155);
}

TEST_CASE("mixture: dialogues, splits and frame rates are each set's own") {
  Mixture mixture;
  mixture.put("vlep/vlep_subtitles.jsonl", R"({"vid_name": "v", "sub": []})");
  const auto samples = mixture.read(
      {part("vlep", {{"split", "val"}}), part("nextqa"), part("jsonl", {{"frames_per_second", 3}})},
      "train", /*subtitles=*/true);
  REQUIRE(samples.size() == 13);
  CHECK(samples[0].about_dialogue);
  CHECK_FALSE(samples[10].about_dialogue);
  CHECK(samples[12].dialogue == "Hi.");
  CHECK(samples[12].clip[0].first == 3);
  CHECK(contains(error_of([&] { mixture.read(json::array({part("nextqa")}), "train", true); }),
                 "data.subtitles is true, but no set of "));
}

TEST_CASE("mixture: what is scored counts once") {
  Mixture mixture;
  CHECK(mixture.read(json::array({part("vlep", {{"weight", 1}})}), "val").size() == 10);
  CHECK(contains(mixture.problem(json::array({part("vlep", {{"weight", 2}})}), "val"),
                 "set 1: \"weight\": 2 is for data.train_split alone: what is scored counts once"));
}

TEST_CASE("mixture: all that is wrong with a list is said at once") {
  Mixture mixture;
  const std::string said = mixture.problem({part("star2"),
                                            part("mixture"),
                                            part("vlep", {{"weight", 0}}),
                                            part("vlep", {{"wieght", 2}}),
                                            part("nextqa", {{"frames_per_second", 2}}),
                                            part("jsonl", {{"frames_per_second", 1001}}),
                                            part("jsonl", {{"name", "a b"}}),
                                            part("jsonl", {{"name", "acc"}}),
                                            {{"folder", "$NOT_THERE_AT_ALL"}},
                                            part("jsonl", {{"weight", 101}, {"name", "w"}}),
                                            7});
  CHECK(contains(said, "13 problems"));
  CHECK(contains(said, "set 1: \"dataset\": expected one of star, dramaqa, "));
  CHECK(contains(said, "mvbench, jsonl, got \"star2\""));
  CHECK(contains(said, "got \"mixture\""));
  CHECK(contains(said, "set 3: \"weight\": expected more than 0 and at most 100, got 0"));
  CHECK(contains(said, "set 4: unknown key \"wieght\", is \"weight\" meant?; expected dataset, "));
  CHECK(contains(said, "set 5: \"frames_per_second\" is for jsonl; nextqa has its own"));
  CHECK(contains(said, "set 6: \"frames_per_second\": expected 1 to 1000, got 1001"));
  CHECK(contains(said, "set 7: \"name\": expected 1 to 40 of a-z, "));
  CHECK(
      contains(said, "set 8: \"name\": acc, uncertainty, mean_of_types are figures of every log"));
  CHECK(contains(said, "set 9: \"folder\": "));
  CHECK(contains(said, "set 9: \"dataset\" is missing"));
  CHECK(contains(said, "set 10: \"weight\": expected more than 0 and at most 100, got 101"));
}

TEST_CASE("mixture: two sets of one name, no set, no list, and a set that cannot be read") {
  Mixture mixture;
  CHECK(contains(mixture.problem({part("vlep"), part("vlep")}),
                 "set 2: another set is called \"vlep\" too: give one of them a \"name\""));
  CHECK(contains(mixture.problem(json::array()), "mix/train.json names no set"));
  CHECK(contains(mixture.problem(json::object()), "expected a list of sets ([...])"));
  CHECK(contains(mixture.problem(json::array({7})),
                 "set 1: expected a set ({...}), got something else"));
  const std::string said = mixture.problem(json::array({part("vlep", {{"folder", "../other"}})}));
  CHECK(contains(said, "set \"vlep\" of "));
  CHECK(contains(said, "/other/vlep_train_release.jsonl is missing"));
}

TEST_CASE("mixture: answers are hidden in all sets or in none") {
  Mixture mixture;
  mixture.put("own/train.jsonl", R"({"video": "w", "question": "q", "options": ["a", "b"]})");
  CHECK(contains(mixture.problem({part("vlep"), part("jsonl")}),
                 "\"jsonl\" hides its answers, the sets before it do not: score them apart"));
  CHECK(contains(mixture.problem({part("jsonl"), part("vlep")}),
                 "\"vlep\" has its answers, the sets before it do not: score them apart"));
}
