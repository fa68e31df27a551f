// Which threshold is taken from a calibration, and of which evaluations none is.
#include "bovila/evaluation/abstention.h"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "bovila/core/error.h"
#include "tests/unit/temp_folder.h"

using namespace bovila;
using doctest::Contains;

namespace {

nlohmann::json whole_calibration() {
  return nlohmann::json::parse(R"({
    "of": {"split": "val", "contents": "4 questions, SHA-256 a", "step": 12, "differences": []},
    "temperature": {"used": 2},
    "certainties": {
      "u": {"risk_coverage": [[0.25, 0, 0.9], [0.5, 0.5, 0.8], [0.75, 0.3, 0.6], [1, 0.5, 0.1]]},
      "probability": {"risk_coverage": [[1, 0.5, 0.3]]}}})");
}

/// Of a run whose validation split is "val" with these four questions.
Abstention taken_from(const nlohmann::json& calibration, double risk) {
  const testing::TempFolder folder;
  folder.write("calibration.json", calibration.dump());
  return read_abstention(folder.path() + "/calibration.json", risk, "val",
                         "4 questions, SHA-256 a");
}

}  // namespace

TEST_CASE("the threshold is that of the largest coverage within the risk") {
  const Abstention found = taken_from(whole_calibration(), 0.4);
  CHECK(found.by_u);
  CHECK(found.threshold == 0.6);
  CHECK(found.coverage == 0.75);
  CHECK(found.step == 12);
  CHECK(found.abstains({0, {1, 2}, {0.5, 0}}));
  CHECK_FALSE(found.abstains({0, {1, 2}, {0.4, 0}}));
  CHECK(taken_from(whole_calibration(), 0).threshold == 0.9);
}

TEST_CASE("of u and the probability the one that answers more is taken, u of equals") {
  CHECK(taken_from(whole_calibration(), 0.5).by_u);
  auto calibration = whole_calibration();
  calibration["certainties"]["probability"]["risk_coverage"] =
      nlohmann::json::parse("[[0.8, 0.4, 0.7], [1, 0.5, 0.3]]");
  CHECK_FALSE(taken_from(calibration, 0.4).by_u);
  CHECK(taken_from(calibration, 0.4).threshold == 0.7);
  CHECK(taken_from(calibration, 0.3).by_u);
}

TEST_CASE("without u the probability is taken, with the temperature of the evaluation") {
  auto calibration = whole_calibration();
  calibration["certainties"].erase("u");
  const Abstention found = taken_from(calibration, 0.5);
  CHECK_FALSE(found.by_u);
  CHECK(found.certainty_of({0, {0, 2}, {0, 0}}) == doctest::Approx(1 / (1 + std::exp(-1.0))));
  const Abstention never = taken_from(calibration, 0.4);
  CHECK(never.coverage == 0);
  CHECK(never.abstains({0, {0, 1000}, {0, 0}}));
}

TEST_CASE("no threshold is taken from other questions than the run's") {
  const auto refused = [](const char* where, const nlohmann::json& value, const char* message) {
    auto calibration = whole_calibration();
    calibration["of"][where] = value;
    CHECK_THROWS_WITH_AS(taken_from(calibration, 0.4), Contains(message), UserError);
  };
  refused("split", "test",
          "is of the split 'test': --abstain needs an evaluation of the run's "
          "validation split 'val' as the run asks it; ");
  refused("contents", "5 questions, SHA-256 b",
          "is of another split 'val' (5 questions, SHA-256 b, in the run 4 questions, SHA-256 a)");
  refused("differences", {"eval.video = \"none\""}, "is of eval.video = \"none\": --abstain needs");
  refused("step", "12", "is not whole: `bovila DECK --eval` writes it again");
}
