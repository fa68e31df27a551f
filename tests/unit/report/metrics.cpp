// Means, accuracy by type, predictions and the log.
#include "bovila/report/metrics.h"

#include <fmt/format.h>

#include "tests/unit/data/small_star.h"

using namespace bovila;
using nlohmann::json;
using testing::contains;
using testing::SmallStar;
using testing::star_question;
using testing::TempFolder;

namespace {

/// Scores in which `option` wins, with uncertainty 0.1 * (option + 1) at each option.
OptionScores choosing(int64_t row, size_t option) {
  OptionScores scores{row, {5, 5, 5, 5}, {0.1, 0.2, 0.3, 0.4}};
  scores.loss[option] = 1;
  return scores;
}

json four_questions() {
  return json::array({star_question("Interaction_1", 0), star_question("Interaction_2", 1),
                      star_question("Sequence_3", 2), star_question("Feasibility_4", 3)});
}

/// Rows 0, 2 and 3 right, row 1 wrong.
std::vector<OptionScores> three_right() {
  return {choosing(0, 0), choosing(1, 3), choosing(2, 2), choosing(3, 3)};
}

StepReport report_of(double loss, int64_t micro_batches) {
  StepReport report;
  report.losses.fill(loss);
  report.gradient_norm = 2 * loss;
  report.gate1 = 0.25;
  report.gate2 = -3.5;
  report.lr = 0.1 * loss;
  report.num_micro_batches = micro_batches;
  return report;
}

}  // namespace

TEST_CASE("an epoch's means weigh each step by its micro-batches") {
  EpochMeans means;
  means.add(report_of(1, 3));
  means.add(report_of(5, 1));
  const auto values = means.values();
  REQUIRE(values.size() == 10);
  CHECK(values[0] == std::pair<std::string, double>("loss", 2));
  CHECK(values[7].first == "uncertainty");
  CHECK(values[8].first == "gradient_norm");
  CHECK(values[8].second == doctest::Approx(4));
  CHECK(values[9].first == "lr");
  CHECK(values[9].second == doctest::Approx(0.2));
  CHECK(EpochMeans().values()[0].second == 0);
}

TEST_CASE("accuracy is exact, in all and by the types that the split has") {
  const SmallStar star(four_questions());
  const Accuracy accuracy = measure(*star.data, three_right());
  CHECK(accuracy.known());
  CHECK(accuracy.total.right == 3);
  CHECK(accuracy.total.questions == 4);
  CHECK(accuracy.total.value() == 0.75);
  REQUIRE(accuracy.types.size() == 3);
  CHECK(accuracy.types[0].name == "In");
  CHECK(accuracy.types[0].value() == 0.5);
  CHECK(accuracy.types[1].name == "Seq");
  CHECK(accuracy.types[1].value() == 1);
  CHECK(accuracy.types[2].name == "Feas");
  CHECK(accuracy.mean_uncertainty == doctest::Approx((0.1 + 0.4 + 0.3 + 0.4) / 4));
  CHECK(to_text(accuracy) ==
        "75.00 % of 4 questions (In 50.00, Seq 100.00, Feas 100.00; mean of types 83.33), "
        "mean uncertainty 0.300");
}

TEST_CASE(
    "NExT-QA's figures are over the questions of several types, previous ones among the next") {
  const TempFolder folder;
  std::string rows = "video,question,answer,qid,type,a0,a1,a2,a3,a4\n";
  int qid = 0;
  for (const char* type : {"TP", "TN", "CW", "TP"}) {
    rows += fmt::format("V1,q,0,{},{},a,b,c,d,e\n", qid++, type);
  }
  folder.write("val.csv", rows);
  const SmallStar star(four_questions());
  Config config = star.config;
  config.data.dataset = "nextqa";
  config.data.folder = folder.path();
  const Dataset data(config, "val", *star.features, *star.tokenizer);
  const Accuracy accuracy =
      measure(data, std::vector{choosing(0, 0), choosing(1, 1), choosing(2, 0), choosing(3, 0)});
  CHECK(to_text(accuracy) ==
        "75.00 % of 4 questions (CW 100.00, TN 0.00, TP 100.00; Acc_C 100.00, Acc_T 66.67), "
        "mean uncertainty 0.125");
  const auto record = json::parse(epoch_record(0, EpochMeans(), accuracy));
  CHECK(record["val_TP"] == 1);
  CHECK(record["val_Acc_T"] == doctest::Approx(2.0 / 3));
  CHECK_FALSE(record.contains("val_Acc_D"));
  CHECK_FALSE(record.contains("val_mean_of_types"));
}

TEST_CASE(
    "types that a data set does not list are in the order of their names; a question has several") {
  const TempFolder folder;
  folder.write("val.jsonl", R"({"video": "V1", "question": "q", "options": ["a", "b", "c", "d"], )"
                            R"("answer": 0, "type": ["z", "m"]})"
                            "\n"
                            R"({"video": "V1", "question": "q", "options": ["a", "b", "c", "d"], )"
                            R"("answer": 0, "type": "a"})");
  const SmallStar star(four_questions());
  Config config = star.config;
  config.data.dataset = "jsonl";
  config.data.folder = folder.path();
  const Dataset data(config, "val", *star.features, *star.tokenizer);
  const std::vector scores{choosing(0, 0), choosing(1, 1)};
  CHECK(to_text(measure(data, scores)) ==
        "50.00 % of 2 questions (a 0.00, m 100.00, z 100.00), mean uncertainty 0.150");
  const auto list = json::parse(predictions_text(data, scores));
  CHECK(list[0]["type"] == json({"z", "m"}));
  CHECK(list[1]["type"] == "a");
  CHECK(list[1]["qtype"] == -1);
}

TEST_CASE("an accuracy that guessing reaches is known as such") {
  const SmallStar star(four_questions());
  const auto with_right = [&](int64_t right) {
    std::vector<OptionScores> scores;
    for (int64_t row = 0; row < 4; ++row) {
      scores.push_back(choosing(row, static_cast<size_t>(row < right ? row : (row + 1) % 4)));
    }
    return measure(*star.data, scores);
  };
  CHECK(with_right(0).guessed == 1);
  CHECK(with_right(0).guessed_variance == 0.75);
  CHECK(with_right(2).is_like_guessing());  // 1 + 2 * 0.87
  CHECK_FALSE(with_right(3).is_like_guessing());
  CHECK_FALSE(Accuracy().is_like_guessing());
}

TEST_CASE(
    "letters of right and chosen answers, and prompts over the limit, stand by the accuracy") {
  const SmallStar star(four_questions());
  Accuracy accuracy = measure(*star.data, three_right());
  CHECK(accuracy.right.total() == 4);
  CHECK(accuracy.chosen.of('D') == 1 + accuracy.right.of('D'));
  CHECK(letters_text(accuracy) == fmt::format("right answers: {}; chosen: {}",
                                              accuracy.right.text(), accuracy.chosen.text()));
  accuracy.num_over_long = 1;
  CHECK(contains(to_text(accuracy), "; 1 prompt longer than model.max_seq_len, scored whole"));
  accuracy.right = {};
  accuracy.total = {};
  CHECK(contains(letters_text(accuracy), "right answers: hidden; chosen: "));
}

TEST_CASE("a split that hides its answers has no accuracy, but an uncertainty") {
  const SmallStar star(json::array({star_question("Sequence_1", -1)}));
  const Accuracy accuracy = measure(*star.data, std::vector{choosing(0, 1)});
  CHECK_FALSE(accuracy.known());
  CHECK(accuracy.types.empty());
  CHECK(to_text(accuracy) == "unknown (the split hides its answers), mean uncertainty 0.200");
  const auto record = json::parse(epoch_record(3, EpochMeans(), accuracy));
  CHECK_FALSE(record.contains("val_acc"));
  CHECK(record["val_uncertainty"] == 0.2);
}

TEST_CASE("predictions have a user's fields, letters for options, and every question once") {
  const SmallStar star(four_questions());
  const auto list = json::parse(predictions_text(*star.data, three_right()));
  REQUIRE(list.size() == 4);
  CHECK(list[1] == json({{"vid", "V1"},
                         {"qid", 1},
                         {"question_id", "Interaction_2"},
                         {"qtype", 1},
                         {"type", "Interaction"},
                         {"pre", "D"},
                         {"ans", "B"},
                         {"u", 0.4},
                         {"probability", list[1]["probability"]},
                         {"entropy", list[1]["entropy"]}}));
  const double p = 1 / (1 + 3 * std::exp(-4.0));  // scores 5, 5, 5, 1
  const double each = (1 - p) / 3;
  CHECK(list[1]["probability"].get<double>() == doctest::Approx(p));
  CHECK(list[1]["entropy"].get<double>() ==
        doctest::Approx(-(p * std::log(p) + 3 * each * std::log(each)) / std::log(4)));
  const auto hotter = json::parse(predictions_text(*star.data, three_right(), /*temperature=*/2));
  CHECK(hotter[1]["probability"].get<double>() == doctest::Approx(1 / (1 + 3 * std::exp(-2.0))));
  for (size_t i = 0; i < 4; ++i) CHECK(list[i]["qid"] == i);
}

TEST_CASE("predictions of a split that hides its answers have no answer") {
  const SmallStar star(json::array({star_question("Sequence_1", -1)}));
  const auto list = json::parse(predictions_text(*star.data, std::vector{choosing(0, 2)}));
  CHECK(list[0]["pre"] == "C");
  CHECK_FALSE(list[0].contains("ans"));
}

TEST_CASE("what was probed is in predictions and in lines with what guessing gives") {
  const SmallStar star(four_questions());
  auto scores = three_right();
  scores[1].turned = {1, 5, 5, 5, 5, 1, 5, 5, 5, 1, 5, 5};  // after D: A, B, B
  const auto list = json::parse(predictions_text(*star.data, scores));
  CHECK(list[1]["turns"] == json({"D", "A", "B", "B"}));
  CHECK(list[1]["majority"] == "B");
  CHECK_FALSE(list[0].contains("turns"));
  const Accuracy accuracy = measure(*star.data, scores);
  CHECK(accuracy.total.right == 3);  // in the given order
  EvalConfig eval;
  CHECK(probe_lines(eval, measure(*star.data, three_right())).empty());
  eval.options = OptionTurns::kRotations;
  CHECK(
      probe_lines(eval, accuracy)
          .at(0)
          .starts_with("eval.options = \"rotations\": 100.00 % right by the majority of orders; "));
  eval.video = VideoShown::kNone;
  CHECK(probe_lines(eval, accuracy).at(0) ==
        "eval.video = \"none\": without the video 3 of 4 questions are right; guessing gives 1.0, "
        "give or take 1.7");
  eval.video = VideoShown::kOther;
  CHECK(probe_lines(eval, {}).at(0) ==
        "eval.video = \"other\": with the frames of another question's video");
}

TEST_CASE("a question's row has the prediction, texts, scores, and what the model asked itself") {
  const SmallStar star(four_questions());
  std::istringstream text(questions_text(*star.data, three_right(), {{1, "what did \"he\" do?"}}));
  std::vector<json> rows;
  for (std::string line; std::getline(text, line);) rows.push_back(json::parse(line));
  REQUIRE(rows.size() == 4);
  CHECK(rows[1]["qid"] == 1);
  CHECK(rows[1]["pre"] == "D");
  CHECK(rows[1]["ans"] == "B");
  CHECK(rows[1]["question"] == "What did the boy do with interaction_2?");
  CHECK(rows[1]["options"] ==
        json({"Hold the door", "Open the book of the girl", "Eat", "Throw the bag"}));
  CHECK(rows[1]["loss"] == json({5, 5, 5, 1}));
  CHECK(rows[1]["uncertainty"] == json({0.1, 0.2, 0.3, 0.4}));
  CHECK(rows[1]["frames"] == json::parse(R"([{"video": "V1", "rows": [0, 1, 3]}])"));
  CHECK(rows[1]["asked"] == "what did \"he\" do?");
  CHECK_FALSE(rows[0].contains("asked"));
}

TEST_CASE("an epoch's record has the losses, the epoch and the accuracies") {
  const SmallStar star(four_questions());
  EpochMeans means;
  means.add(report_of(2, 1));
  const auto record = json::parse(epoch_record(1, means, measure(*star.data, three_right())));
  for (const std::string_view name : kLossNames) {
    CHECK(record.at("train_" + std::string(name)) == 2.0);
  }
  CHECK(record["train_lr"] == 0.2);
  CHECK(record["epoch"] == 1);
  CHECK(record["val_acc"] == 0.75);
  CHECK(record["val_In"] == 0.5);
  CHECK_FALSE(record.contains("val_Pre"));
  CHECK(record["val_mean_of_types"] == doctest::Approx(2.5 / 3));
}

TEST_CASE("a step's record has its number, its epoch, its losses, lr and gradient norm") {
  const auto record = json::parse(step_record(4, 17, report_of(2, 1)));
  CHECK(record["step"] == 17);
  CHECK(record["epoch"] == 4);
  for (const std::string_view name : kLossNames) CHECK(record.at(std::string(name)) == 2.0);
  CHECK(record.contains("lr"));
  CHECK(record.contains("gradient_norm"));
  CHECK(record["gate1"] == 0.25);
  CHECK(record["gate2"] == -3.5);
}

TEST_CASE("a step's timing has its number, the time of day and its speed") {
  StepTimer timer;
  TeamTimes team;
  team.mean = {0.25, 2, 0.5, 0.125, 300};
  team.slowest_s = 3;
  team.slowest_name = "rank 1 on n0";
  team.fastest_name = "rank 0 on n0";
  const auto row = json::parse(timer.record(17, 8, team, 0.75));
  CHECK(row["step"] == 17);
  CHECK(row["time"].get<double>() > 1.7e9);
  CHECK(row["questions_per_s"].get<double>() > 0);
  CHECK(row["tokens_per_s"].get<double>() > 0);
  CHECK(row["data_s"] == 0.25);
  CHECK(row["compute_s"] == 2);
  CHECK(row["others_s"] == 0.5);
  CHECK(row["update_s"] == 0.125);
  CHECK(row["checkpoint_s"] == 0.75);
  CHECK(row["slowest"] == "rank 1 on n0");
  CHECK(row["slowest_s"] == 3);
  CHECK(row["fastest"] == "rank 0 on n0");
  CHECK(row["fastest_s"] == 0);
  CHECK_FALSE(row.contains("share_of_peak"));
  StepTimer stated(1e15);
  const auto share = json::parse(stated.record(18, 8, team, 0));
  CHECK(share["share_of_peak"].get<double>() ==
        doctest::Approx(share["tokens_per_s"].get<double>() / 1e15));
}

TEST_CASE("a skipped step says so, is JSON without NaN, and counts in no mean") {
  StepReport spoiled = report_of(std::nan(""), 3);
  spoiled.non_finite = "loss is nan";
  const std::string text = step_record(4, 18, spoiled);
  CHECK(text.find("nan") == std::string::npos);
  const auto record = json::parse(text);
  CHECK(record["skipped"] == true);
  CHECK(record["step"] == 18);
  CHECK(record["loss"].is_null());
  CHECK_FALSE(json::parse(step_record(4, 17, report_of(2, 1))).contains("skipped"));

  EpochMeans means;
  means.add(report_of(2, 1));
  means.add(spoiled);
  CHECK(means.values()[0].second == 2);
  CHECK(means.num_skipped == 1);
  const SmallStar star(four_questions());
  CHECK(json::parse(epoch_record(1, means,
                                 measure(*star.data, three_right())))["train_skipped_steps"] == 1);
}

TEST_CASE("a step whose fp16 gradients overflow is a skipped one with finite losses") {
  StepReport report = report_of(2, 1);
  report.overflowed = true;
  report.gradient_norm = 0;
  const auto record = json::parse(step_record(0, 1, report));
  CHECK(record["skipped"] == true);
  CHECK(record["loss"] == 2.0);
}

TEST_CASE("durations are read as clocks") {
  CHECK(clock_text(0) == "0:00");
  CHECK(clock_text(59.9) == "0:59");
  CHECK(clock_text(3599) == "59:59");
  CHECK(clock_text(3723.4) == "1:02:03");
}
