// Sums over questions in the order of their certainty.
#include "bovila/report/calibration.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "bovila/evaluation/certainty.h"

namespace bovila {
namespace {

using nlohmann::ordered_json;

constexpr size_t kBins = 15;
constexpr size_t kMostPoints = 200;
constexpr int kCoverages[] = {50, 70, 80, 90, 100};  // per cent
constexpr int kRisks[] = {1, 5, 10, 20};             // per cent
constexpr int kCosts[] = {1, 10, 100};

double share(double part, size_t all) {
  return part / static_cast<double>(all);
}

/// Questions of one certainty.
struct Tie {
  double certainty = 0;
  double questions = 0, wrong = 0;
};

/// By falling certainty.
std::vector<Tie> ties_of(const std::vector<Judged>& falling) {
  std::vector<Tie> ties;
  for (const Judged& one : falling) {
    if (ties.empty() || ties.back().certainty != one.certainty) ties.push_back({one.certainty});
    ++ties.back().questions;
    ties.back().wrong += one.is_right ? 0 : 1;
  }
  return ties;
}

ReliabilityBin bin_of(std::span<const Judged> judged) {
  ReliabilityBin bin{0, 0, static_cast<int64_t>(judged.size())};
  for (const Judged& one : judged) {
    bin.certainty += share(one.certainty, judged.size());
    bin.accuracy += share(one.is_right ? 1 : 0, judged.size());
  }
  return bin;
}

double calibration_error(const std::vector<ReliabilityBin>& bins, size_t questions) {
  double error = 0;
  for (const ReliabilityBin& bin : bins) {
    error += share(static_cast<double>(bin.questions), questions) *
             std::abs(bin.accuracy - bin.certainty);
  }
  return error;
}

std::vector<ReliabilityBin> bins_of_equal_width(const std::vector<Judged>& judged) {
  std::vector<std::vector<Judged>> found(kBins);
  for (const Judged& one : judged) {
    const double place = std::ceil(one.certainty * static_cast<double>(kBins)) - 1;
    found[static_cast<size_t>(std::clamp(place, 0.0, static_cast<double>(kBins - 1)))].push_back(
        one);
  }
  std::vector<ReliabilityBin> bins;
  for (const auto& bin : found) {
    if (!bin.empty()) bins.push_back(bin_of(bin));
  }
  return bins;
}

std::vector<ReliabilityBin> bins_of_equal_number(std::span<const Judged> rising) {
  const size_t number = std::min(kBins, rising.size());
  std::vector<ReliabilityBin> bins;
  for (size_t at = 0; at < number; ++at) {
    const size_t begin = rising.size() * at / number, end = rising.size() * (at + 1) / number;
    bins.push_back(bin_of(rising.subspan(begin, end - begin)));
  }
  return bins;
}

/// Brier and NLL.
void add_scores(const std::vector<Judged>& judged, Calibration& found) {
  constexpr double kEdge = std::numeric_limits<double>::epsilon();
  for (const Judged& one : judged) {
    const double off = one.certainty - (one.is_right ? 1 : 0);
    found.brier += share(off * off, judged.size());
    const double kept = std::clamp(one.certainty, kEdge, 1 - kEdge);
    found.nll -= share(std::log(one.is_right ? kept : 1 - kept), judged.size());
  }
}

/// Everything that follows from the order: ROC, risks and their areas.
void add_order(const std::vector<Tie>& ties, size_t questions, Calibration& found) {
  double all_wrong = 0, answered = 0, wrong = 0, pairs = 0;
  for (const Tie& tie : ties) all_wrong += tie.wrong;
  const double all_right = static_cast<double>(questions) - all_wrong;
  const bool has_both = all_wrong > 0 && all_right > 0;
  for (const Tie& tie : ties) {
    const double right = tie.questions - tie.wrong;
    for (double at = 1; at <= tie.questions; ++at) {
      found.aurc += share((wrong + at * tie.wrong / tie.questions) / (answered + at), questions);
    }
    found.augrc += share(tie.questions, questions) * share(wrong + tie.wrong / 2, questions);
    pairs += right * (all_wrong - wrong - tie.wrong / 2);
    answered += tie.questions;
    wrong += tie.wrong;
    found.risks.push_back({share(answered, questions), wrong / answered, tie.certainty});
    if (has_both && !found.fpr95 && 100 * (answered - wrong) >= 95 * all_right) {
      found.fpr95 = wrong / all_wrong;
    }
  }
  if (has_both) found.auroc = pairs / (all_right * all_wrong);
}

struct Asked {
  const OptionScores& scores;
  size_t right = 0;
};

std::vector<Asked> answers_known(const Dataset& data, std::span<const OptionScores> scores) {
  std::vector<Asked> known;
  for (const OptionScores& score : scores) {
    const auto& answer = data.sample(score.row).answer;
    if (answer) known.push_back({score, static_cast<size_t>(*answer)});
  }
  return known;
}

double mean_nll(std::span<const Asked> known, double temperature) {
  double sum = 0;
  for (const Asked& one : known) {
    const auto& loss = one.scores.loss;
    const double least = std::ranges::min(loss);
    double shares = 0;
    for (const double value : loss) shares += std::exp((least - value) / temperature);
    sum += (loss[one.right] - least) / temperature + std::log(shares);
  }
  return share(sum, known.size());
}

/// Of the NLL along 1/T: how much worse the right option's score is than the expected one.
double slope_of_nll(std::span<const Asked> known, double temperature) {
  double slope = 0;
  for (const Asked& one : known) {
    const auto shares = probabilities(one.scores, temperature);
    slope += one.scores.loss[one.right];
    for (size_t k = 0; k < shares.size(); ++k) slope -= shares[k] * one.scores.loss[k];
  }
  return slope;
}

template <typename Number>
ordered_json number_or_null(const std::optional<Number>& number) {
  return number ? ordered_json(*number) : ordered_json();
}

ordered_json to_json(const Calibration& found) {
  ordered_json entry = {{"ece", found.ece},
                        {"adaptive_ece", found.adaptive_ece},
                        {"brier", found.brier},
                        {"nll", found.nll},
                        {"auroc", number_or_null(found.auroc)},
                        {"fpr95", number_or_null(found.fpr95)},
                        {"aurc", found.aurc},
                        {"augrc", found.augrc}};
  for (const int coverage : kCoverages) {
    entry["risk_at_coverage"][std::to_string(coverage)] = risk_at_coverage(found, coverage / 100.0);
  }
  for (const int risk : kRisks) {
    const auto point = point_at_risk(found, risk / 100.0);
    entry["coverage_at_risk"][std::to_string(risk)] = point ? point->coverage : 0;
  }
  for (const int cost : kCosts) {
    entry["effective_reliability"][std::to_string(cost)] = effective_reliability(found, cost);
  }
  for (const ReliabilityBin& bin : found.bins) {
    entry["reliability"].push_back({bin.certainty, bin.accuracy, bin.questions});
  }
  const size_t step = (found.risks.size() + kMostPoints - 1) / kMostPoints;
  for (size_t at = 0; at < found.risks.size(); ++at) {
    if ((found.risks.size() - 1 - at) % step != 0) continue;  // the last one is among them
    const RiskPoint& point = found.risks[at];
    entry["risk_coverage"].push_back({point.coverage, point.risk, point.threshold});
  }
  return entry;
}

}  // namespace

Calibration calibrate(std::vector<Judged> judged) {
  if (judged.empty()) throw std::invalid_argument("calibrate: expected a question or more");
  std::ranges::stable_sort(judged, std::greater{}, &Judged::certainty);
  Calibration found;
  found.ece = calibration_error(bins_of_equal_width(judged), judged.size());
  add_scores(judged, found);
  add_order(ties_of(judged), judged.size(), found);
  std::ranges::reverse(judged);
  found.bins = bins_of_equal_number(judged);
  found.adaptive_ece = calibration_error(found.bins, judged.size());
  return found;
}

double risk_at_coverage(const Calibration& calibration, double coverage) {
  constexpr double kRounding = 1e-12;
  for (const RiskPoint& point : calibration.risks) {
    if (point.coverage >= coverage - kRounding) return point.risk;
  }
  return calibration.risks.back().risk;
}

std::optional<RiskPoint> point_at_risk(const Calibration& calibration, double risk) {
  std::optional<RiskPoint> best;
  for (const RiskPoint& point : calibration.risks) {
    if (point.risk <= risk) best = point;
  }
  return best;
}

double effective_reliability(const Calibration& calibration, double cost) {
  double best = 0;
  for (const RiskPoint& point : calibration.risks) {
    best = std::max(best, point.coverage * (1 - point.risk - cost * point.risk));
  }
  return best;
}

std::optional<Temperature> fit_temperature(const Dataset& data,
                                           std::span<const OptionScores> scores) {
  constexpr double kLow = 0.01, kHigh = 100;
  constexpr int kHalvings = 60;
  const auto known = answers_known(data, scores);
  if (known.empty()) return std::nullopt;
  if (slope_of_nll(known, kLow) <= 0 || slope_of_nll(known, kHigh) >= 0) return std::nullopt;
  double low = std::log(kLow), high = std::log(kHigh);
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = (low + high) / 2;
    (slope_of_nll(known, std::exp(middle)) > 0 ? low : high) = middle;
  }
  const double value = std::exp((low + high) / 2);
  return Temperature{value, mean_nll(known, value)};
}

std::string calibration_text(const Dataset& data, std::span<const OptionScores> scores,
                             const CalibrationOf& of, double temperature) {
  std::vector<Judged> u, probability, entropy;
  bool has_u = false;
  double right = 0;
  for (const OptionScores& score : scores) {
    const auto& answer = data.sample(score.row).answer;
    if (!answer) continue;
    const bool is_right = score.prediction() == *answer;
    right += is_right ? 1 : 0;
    u.push_back({certainty_of_u(score), is_right});
    has_u |= u.back().certainty != 1;
    probability.push_back({certainty_of_probability(score, temperature), is_right});
    entropy.push_back({certainty_of_entropy(score, temperature), is_right});
  }
  if (u.empty()) return "";
  const auto fitted = fit_temperature(data, scores);
  ordered_json all = {{"of",
                       {{"split", of.split},
                        {"contents", of.contents},
                        {"step", of.step},
                        {"differences", of.differences}}},
                      {"questions", u.size()},
                      {"accuracy", share(right, u.size())},
                      {"temperature",
                       {{"used", temperature},
                        {"nll", mean_nll(answers_known(data, scores), temperature)},
                        {"fitted", fitted ? ordered_json(fitted->value) : ordered_json()},
                        {"fitted_nll", fitted ? ordered_json(fitted->nll) : ordered_json()}}}};
  if (has_u) all["certainties"]["u"] = to_json(calibrate(u));
  all["certainties"]["probability"] = to_json(calibrate(probability));
  all["certainties"]["entropy"] = to_json(calibrate(entropy));
  return all.dump(1) + "\n";
}

}  // namespace bovila
