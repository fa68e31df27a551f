// The point of the risk-coverage curve that goes furthest within the risk.
#include "bovila/evaluation/abstention.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "bovila/core/error.h"
#include "bovila/evaluation/certainty.h"

namespace bovila {
namespace {

constexpr double kNever = 2;  // more than any certainty

/// What was asked, where it was something else than the run's validation split; "" where it was
/// that.
std::string other_questions(const nlohmann::json& of, const std::string& split,
                            const std::string& contents) {
  const std::string its_split = of.at("split"), its_contents = of.at("contents");
  if (!split.empty() && its_split != split) return fmt::format("the split '{}'", its_split);
  if (!contents.empty() && its_contents != contents) {
    return fmt::format("another split '{}' ({}, in the run {})", its_split, its_contents, contents);
  }
  const auto& differences = of.at("differences");
  return differences.empty() ? "" : differences.at(0).get<std::string>();
}

/// The point of a certainty's curve that goes furthest within the risk, where that is further than
/// what was found.
void take_threshold(const nlohmann::json& certainty, double risk, bool is_u, Abstention& found) {
  for (const auto& point : certainty.at("risk_coverage")) {
    const double coverage = point.at(0), of_point = point.at(1);
    if (of_point > risk || coverage <= found.coverage) continue;
    found.by_u = is_u;
    found.threshold = point.at(2);
    found.coverage = coverage;
    found.risk = of_point;
  }
}

}  // namespace

double Abstention::certainty_of(const OptionScores& scores) const {
  return by_u ? certainty_of_u(scores) : certainty_of_probability(scores, temperature);
}

Abstention read_abstention(const std::filesystem::path& calibration, double risk,
                           const std::string& split, const std::string& contents) {
  std::ifstream file(calibration);
  if (!file) {
    throw UserError(
        "{} is not there: --abstain takes its threshold from it; `bovila DECK --eval` writes it, "
        "of a split that does not hide its answers",
        calibration.string());
  }
  Abstention found;
  found.threshold = kNever;
  std::string other;
  try {
    const auto all = nlohmann::json::parse(file);
    other = other_questions(all.at("of"), split, contents);
    found.step = all.at("of").at("step");
    found.temperature = all.at("temperature").at("used");
    const auto& certainties = all.at("certainties");
    if (certainties.contains("u")) take_threshold(certainties.at("u"), risk, true, found);
    take_threshold(certainties.at("probability"), risk, false, found);
  } catch (const nlohmann::json::exception&) {
    throw UserError("{} is not whole: `bovila DECK --eval` writes it again", calibration.string());
  }
  if (!other.empty()) {
    throw UserError(
        "{} is of {}: --abstain needs an evaluation of the run's validation split '{}' as the run "
        "asks it; `bovila DECK --eval` writes one",
        calibration.string(), other, split);
  }
  return found;
}

std::string to_text(const Abstention& abstention) {
  if (abstention.coverage == 0) {
    return "abstains from every question: no threshold of the validation split has so little risk";
  }
  return fmt::format(
      "abstains where {} is below {:.4g}: {:.1f} % of the validation split are answered, {:.1f} % "
      "of them wrong",
      abstention.by_u ? "1 - u" : "the largest probability", abstention.threshold,
      100 * abstention.coverage, 100 * abstention.risk);
}

}  // namespace bovila
