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

}  // namespace

double Abstention::certainty_of(const OptionScores& scores) const {
  return by_u ? certainty_of_u(scores) : certainty_of_probability(scores);
}

Abstention read_abstention(const std::filesystem::path& calibration, double risk) {
  std::ifstream file(calibration);
  if (!file) {
    throw UserError(
        "{} is not there: --abstain takes its threshold from it; `bovila DECK --eval` writes it",
        calibration.string());
  }
  Abstention found{false, kNever, 0, 0};
  try {
    const auto certainties = nlohmann::json::parse(file).at("certainties");
    found.by_u = certainties.contains("u");
    const auto& of = certainties.at(found.by_u ? "u" : "probability");
    for (const auto& point : of.at("risk_coverage")) {  // by rising coverage
      const double of_point = point.at(1);
      if (of_point <= risk) found = {found.by_u, point.at(2), point.at(0), of_point};
    }
  } catch (const nlohmann::json::exception&) {
    throw UserError("{} is not whole: `bovila DECK --eval` writes it again", calibration.string());
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
