// Certainties by hand, and identities between the measures. (Beside scikit-learn, on a run's own
// answers: tests/cli/look.sh.)
#include "bovila/report/calibration.h"

#include <cmath>
#include <random>

#include "bovila/evaluation/certainty.h"
#include "tests/unit/data/small_star.h"

using namespace bovila;
using doctest::Approx;

namespace {

/// Right answers of a model whose certainty is true, rounded so that many are equal.
std::vector<Judged> true_certainties(int number, uint32_t seed) {
  std::mt19937 draws(seed);
  std::uniform_real_distribution<double> uniform;
  std::vector<Judged> judged;
  for (int i = 0; i < number; ++i) {
    const double certainty = std::round(20 * uniform(draws)) / 20;
    judged.push_back({certainty, uniform(draws) < certainty});
  }
  return judged;
}

double share_wrong(const std::vector<Judged>& judged) {
  double wrong = 0;
  for (const Judged& one : judged) wrong += one.is_right ? 0 : 1;
  return wrong / static_cast<double>(judged.size());
}

}  // namespace

TEST_CASE("measures of four answers are those worked out by hand") {
  // By falling certainty: right, right and wrong (equal), wrong.
  const auto found = calibrate({{0.5, false}, {0.8, true}, {0.5, true}, {0.2, false}});
  CHECK(found.brier == Approx((0.25 + 0.04 + 0.25 + 0.04) / 4));
  CHECK(found.nll == Approx(-(2 * std::log(0.5) + 2 * std::log(0.8)) / 4));
  CHECK(found.ece == Approx((0.2 + 2 * 0.0 + 0.2) / 4));
  CHECK(found.adaptive_ece == Approx((0.2 + 0.5 + 0.5 + 0.2) / 4));  // a bin a question
  CHECK(found.auroc.value() == Approx((2 + 1 + 0.5) / 4));
  CHECK(found.fpr95.value() == Approx(0.5));
  CHECK(found.aurc == Approx((0 + 0.5 / 2 + 1.0 / 3 + 2.0 / 4) / 4));
  CHECK(found.augrc == Approx(0.5 * 0.5 * 0.25 + 0.25 * 0.375));
  REQUIRE(found.risks.size() == 3);
  CHECK(found.risks[1].coverage == Approx(0.75));
  CHECK(found.risks[1].risk == Approx(1.0 / 3));
  CHECK(found.risks[1].threshold == 0.5);
  CHECK(risk_at_coverage(found, 0.25) == 0);
  CHECK(risk_at_coverage(found, 0.26) == Approx(1.0 / 3));
  CHECK(risk_at_coverage(found, 1) == Approx(0.5));
  CHECK(point_at_risk(found, 0.1).value().coverage == 0.25);
  CHECK(point_at_risk(found, 0.4).value().threshold == 0.5);
  CHECK(effective_reliability(found, 1) == Approx(0.25));
  CHECK(effective_reliability(found, 0) == Approx(0.5));
}

TEST_CASE("equal certainties: the order of the questions says nothing") {
  std::vector<Judged> judged = true_certainties(300, 1);
  const auto before = calibrate(judged);
  std::ranges::reverse(judged);
  const auto after = calibrate(judged);
  CHECK(before.aurc == Approx(after.aurc));
  CHECK(before.augrc == Approx(after.augrc));
  CHECK(before.auroc.value() == Approx(after.auroc.value()));
  CHECK(before.risks.size() == after.risks.size());
  const auto same = calibrate(std::vector<Judged>{{0.5, true}, {0.5, false}, {0.5, true}});
  CHECK(same.auroc.value() == 0.5);
  CHECK(same.fpr95.value() == 1);
  CHECK(same.aurc == Approx(1.0 / 3));
}

TEST_CASE("AUGRC follows from AUROC and the accuracy, as Traub et al. have it") {
  for (const uint32_t seed : {1U, 2U, 3U}) {
    const auto judged = true_certainties(200, seed);
    const auto found = calibrate(judged);
    const double wrong = share_wrong(judged);
    CHECK(found.augrc ==
          Approx((1 - found.auroc.value()) * wrong * (1 - wrong) + wrong * wrong / 2));
  }
}

TEST_CASE("certainties that are true are calibrated, and turned around they are not") {
  auto judged = true_certainties(20000, 4);
  const auto honest = calibrate(judged);
  CHECK(honest.ece < 0.02);
  CHECK(honest.adaptive_ece < 0.02);
  CHECK(honest.brier == Approx(1.0 / 6).epsilon(0.03));  // the mean of p (1 - p)
  for (Judged& one : judged) one.certainty = 1 - one.certainty;
  const auto turned = calibrate(judged);
  CHECK(turned.ece > 0.4);
  CHECK(turned.auroc.value() == Approx(1 - honest.auroc.value()));
  CHECK(turned.aurc > honest.aurc);
}

TEST_CASE("without wrong answers there is no curve to measure, and a risk of none is reached") {
  const auto right = calibrate({{1, true}, {0.5, true}});
  CHECK_FALSE(right.auroc);
  CHECK_FALSE(right.fpr95);
  CHECK(right.aurc == 0);
  CHECK(point_at_risk(right, 0).value().coverage == 1);
  CHECK(std::isfinite(right.nll));
  const auto wrong = calibrate({{1, false}});
  CHECK_FALSE(wrong.auroc);
  CHECK(wrong.nll == Approx(52 * std::log(2)));
  CHECK_FALSE(point_at_risk(wrong, 0.2));
  CHECK(effective_reliability(wrong, 10) == 0);
  CHECK_THROWS_AS(calibrate({}), std::invalid_argument);
}

TEST_CASE("an answer's three certainties follow from its scores") {
  const OptionScores scores{0, {1, 1 + std::log(3), 1000}, {0.25, 0.5, 0.75}};
  CHECK(certainty_of_u(scores) == 0.75);
  CHECK(probabilities(scores)[0] == Approx(0.75));
  CHECK(probabilities(scores)[2] == 0);
  const double entropy = -(0.75 * std::log(0.75) + 0.25 * std::log(0.25));
  CHECK(certainty_of_entropy(scores) == Approx(1 - entropy / std::log(3)));
  CHECK(certainty_of_entropy({0, {2, 2, 2}, {0, 0, 0}}) == Approx(0));
}

TEST_CASE("calibration.json has each certainty that the run has") {
  const testing::SmallStar star(nlohmann::json::array(
      {testing::star_question("Interaction_1", 0), testing::star_question("Interaction_2", 1)}));
  std::vector<OptionScores> scores = {{0, {1, 5, 5, 5}, {0.1, 0.2, 0.3, 0.4}},
                                      {1, {1, 5, 5, 5}, {0.3, 0.2, 0.3, 0.4}}};
  nlohmann::json found =
      nlohmann::json::parse(calibration_text(*star.data, scores, {"val", "2 questions", 7}));
  CHECK(found["questions"] == 2);
  CHECK(found["accuracy"] == 0.5);
  CHECK(found["certainties"].size() == 3);
  const auto& u = found["certainties"]["u"];
  CHECK(u["auroc"] == 1);
  CHECK(u["coverage_at_risk"]["1"] == 0.5);
  CHECK(u["risk_at_coverage"]["100"] == 0.5);
  CHECK(u["effective_reliability"]["100"] == 0.5);
  CHECK(u["risk_coverage"] == nlohmann::json::parse("[[0.5, 0.0, 0.9], [1.0, 0.5, 0.7]]"));
  CHECK(found["of"] ==
        nlohmann::json::parse(
            R"({"split": "val", "contents": "2 questions", "step": 7, "differences": []})"));
  CHECK(found["temperature"]["used"] == 1);
  const double other = 3 * std::exp(-4.0);
  CHECK(found["temperature"]["nll"].get<double>() == Approx(std::log(1 + other) + 2));
  const double before = found["certainties"]["probability"]["brier"];
  found = nlohmann::json::parse(calibration_text(*star.data, scores, {}, /*temperature=*/4));
  CHECK(found["temperature"]["used"] == 4);
  CHECK(found["certainties"]["probability"]["brier"] < before);
  CHECK(found["certainties"]["u"]["auroc"] == 1);
  for (OptionScores& score : scores) score.uncertainty = {0, 0, 0, 0};
  found = nlohmann::json::parse(calibration_text(*star.data, scores, {"val", "2 questions", 7}));
  CHECK_FALSE(found["certainties"].contains("u"));
}

TEST_CASE("the temperature that is fitted is the one that made the answers") {
  auto questions = nlohmann::json::array();
  std::mt19937 draws(5);
  std::uniform_real_distribution<double> uniform;
  std::vector<OptionScores> scores;
  for (int64_t row = 0; row < 3000; ++row) {
    OptionScores score{row, {}, {0, 0, 0, 0}};
    for (int k = 0; k < 4; ++k) score.loss.push_back(3 * uniform(draws));
    const auto shares = probabilities(score, /*temperature=*/0.5);
    double at = uniform(draws);
    int answer = 0;
    while (answer < 3 && (at -= shares[static_cast<size_t>(answer)]) > 0) ++answer;
    questions.push_back(testing::star_question("Sequence_" + std::to_string(row), answer));
    scores.push_back(score);
  }
  const testing::SmallStar star(questions);
  const auto fitted = fit_temperature(*star.data, scores).value();
  CHECK(fitted.value == Approx(0.5).epsilon(0.06));
  // Scores twice as large are those of twice the temperature, of the same likelihood.
  for (OptionScores& score : scores) {
    for (double& loss : score.loss) loss *= 2;
  }
  const auto doubled = fit_temperature(*star.data, scores).value();
  CHECK(doubled.value == Approx(2 * fitted.value));
  CHECK(doubled.nll == Approx(fitted.nll));
}

TEST_CASE("no temperature is fitted where every answer is right, or the scores say nothing") {
  const testing::SmallStar star(testing::star_questions(4));
  std::vector<OptionScores> right, equal;
  for (int64_t row = 0; row < 4; ++row) {
    right.push_back({row, {2, 2, 2, 2}, {0, 0, 0, 0}});
    right.back().loss[static_cast<size_t>(row)] = 1;
    equal.push_back({row, {1, 1, 1, 1}, {0, 0, 0, 0}});
  }
  CHECK_FALSE(fit_temperature(*star.data, right));
  CHECK_FALSE(fit_temperature(*star.data, equal));
  CHECK_FALSE(fit_temperature(*star.data, {}));
}
