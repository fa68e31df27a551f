// What a result says it is of, and which results may take its place.
#include "bovila/report/eval_record.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/config/helpers.h"

using namespace bovila;
using testing::contains;
using testing::TemporaryFolder;

namespace {

EvalRecord make_eval_record() {
  EvalRecord record;
  record.checkpoint = "out/checkpoints/step-00000012";
  record.contents = "1 bytes, SHA-256 a";
  record.step = 12;
  record.settings = {{"model.precision", "'fp32'"}, {"data.subtitles", "true"}};
  record.identity = {{"model.llama", "2 b"}};
  record.differences = {"data.subtitles: false in the checkpoint, true now"};
  record.deck = "[model]\n";
  record.build = {{"version", "0.2.0"}};
  return record;
}

Accuracy make_accuracy() {
  Accuracy accuracy;
  accuracy.total = {"Total", 3, 4};
  accuracy.mean_uncertainty = 0.5;
  return accuracy;
}

}  // namespace

TEST_CASE("a record has its number, and all that the number is of") {
  const auto json = nlohmann::json::parse(to_text(make_eval_record(), make_accuracy()));
  CHECK(json["result"]["right"] == 3);
  CHECK(json["result"]["questions"] == 4);
  CHECK(json["result"]["accuracy"] == 0.75);
  CHECK(json["checkpoint"]["step"] == 12);
  CHECK(json["checkpoint"]["path"] == "out/checkpoints/step-00000012");
  CHECK(json["settings"]["data.subtitles"] == "true");
  CHECK(json["contents"]["model.llama"] == "2 b");
  CHECK(json["differences"][0] == "data.subtitles: false in the checkpoint, true now");
  CHECK(json["deck"] == "[model]\n");
  CHECK(json["build"]["version"] == "0.2.0");
  CHECK_FALSE(json["result"].contains("probes"));
  EvalRecord probed = make_eval_record();
  probed.eval.video = VideoShown::kShuffled;
  Accuracy accuracy = make_accuracy();
  accuracy.turned = TurnedAnswers{2, 1, 1, 2, {{1, 2, 1, 1}, {1, 0, 0, 1}}};
  const auto result = nlohmann::json::parse(to_text(probed, accuracy))["result"];
  CHECK(result["probes"].size() == 2);
  CHECK(result["turned"]["consistent"] == 1);
  CHECK(result["turned"]["majority_right"] == 1);
  CHECK(result["turned"]["letter_bias"] == 0.5);
  CHECK(result["turned"]["letters"][0]["chosen"] == 2);
  const auto hidden = nlohmann::json::parse(to_text({}, {}));
  CHECK_FALSE(hidden["result"].contains("accuracy"));
  CHECK_FALSE(hidden["checkpoint"].contains("step"));
}

TEST_CASE("an eval.json is of another evaluation when settings or contents differ or are unknown") {
  const TemporaryFolder folder;
  const std::string text = to_text(make_eval_record(), make_accuracy());
  const auto other = [&](const EvalRecord& record) {
    return other_evaluation(folder / "", to_text(record, {})).value_or("none");
  };
  CHECK(other(make_eval_record()) == "none");  // there is no eval.json
  folder.write("eval.json", "[]");
  CHECK(contains(other(make_eval_record()), "no eval-record.json"));
  folder.write("eval-record.json", "{ half");
  CHECK(contains(other(make_eval_record()), "no eval-record.json"));
  folder.write("eval-record.json", text);
  EvalRecord record = make_eval_record();
  record.step = 18;
  record.contents = "9 bytes";
  record.checkpoint = "elsewhere";
  record.num_ranks = 8;
  record.build["version"] = "0.3.0";
  CHECK(other(record) == "none");
  record.settings["data.subtitles"] = "false";
  CHECK(other(record) == "data.subtitles: \"true\" then, \"false\" now");
  record = make_eval_record();
  record.identity["data.features"] = "3 c";
  CHECK(other(record) == "data.features: none then, \"3 c\" now");
  record.identity.clear();
  CHECK(other(record) == "model.llama: \"2 b\" then, none now");
}
