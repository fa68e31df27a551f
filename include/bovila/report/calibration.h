// What a model's certainty is worth: does it tell right answers from wrong, and by how much?
// Fed by evaluation/certainty.h, which names three certainties; feeds calibration.json, which
// tools/report and evaluation/abstention.h read.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bovila/data/dataset.h"
#include "bovila/evaluation/option_scores.h"

namespace bovila {

/// The chosen answer of a question.
struct Judged {
  double certainty = 0;  ///< 0 to 1
  bool is_right = false;
};

/// Questions that are answered when the least certainty is `threshold`.
struct RiskPoint {
  double coverage = 0;  ///< their share of all questions
  double risk = 0;      ///< the share of wrong ones among them
  double threshold = 0;
};

/// Questions of similar certainty.
struct ReliabilityBin {
  double certainty = 0;  ///< their mean
  double accuracy = 0;
  int64_t questions = 0;
};

/// Numbers of one certainty. Equal certainties are one threshold: their order says nothing.
struct Calibration {
  /// Expected calibration error, sum over bins of share * |accuracy - mean certainty|: 15 bins of
  /// equal width, (0, 1/15] and so on, the first with 0. Naeini et al., AAAI 2015; Guo et al.,
  /// arXiv:1706.04599.
  double ece = 0;
  /// The same with 15 bins of equal number: Nguyen and O'Connor, arXiv:1508.05154; Nixon et al.,
  /// arXiv:1904.01685.
  double adaptive_ece = 0;
  /// Mean squared difference of certainty and right (1) or wrong (0). Brier, Monthly Weather Review
  /// 78 (1950).
  double brier = 0;
  /// Mean of -log(certainty) of right and -log(1 - certainty) of wrong answers, in nats;
  /// certainties are kept 2^-52 away from 0 and 1.
  double nll = 0;
  /// How often a right answer is more certain than a wrong one, equal ones counting half: the area
  /// under the ROC curve. Hanley and McNeil, Radiology 143 (1982). None without both kinds.
  std::optional<double> auroc;
  /// The least share of wrong answers that is passed with at least 95 % of the right ones.
  /// Hendrycks and Gimpel, arXiv:1610.02136; Liang et al., arXiv:1706.02690.
  std::optional<double> fpr95;
  /// Mean risk over the n coverages 1/n to 1, of equal certainties its expectation over their
  /// orders. Geifman and El-Yaniv, arXiv:1705.08500.
  double aurc = 0;
  /// Area under the share of wrong answers among all questions, over coverage, by trapezoids. Traub
  /// et al., arXiv:2407.01032.
  double augrc = 0;
  std::vector<RiskPoint> risks;      ///< a point a threshold, by rising coverage
  std::vector<ReliabilityBin> bins;  ///< of adaptive_ece, by rising certainty
};

/// @throws std::invalid_argument without a question.
Calibration calibrate(std::vector<Judged> judged);

/// The risk where at least this share of the questions is answered.
double risk_at_coverage(const Calibration& calibration, double coverage);
/// The point of largest coverage whose risk is at most this; none where every threshold risks more.
std::optional<RiskPoint> point_at_risk(const Calibration& calibration, double risk);
/// Effective reliability Phi_c of Whitehead et al., arXiv:2204.13631: 1 for a right answer, -c for
/// a wrong one, 0 for none, the mean over all questions, at the threshold where it is largest.
double effective_reliability(const Calibration& calibration, double cost);

/// What a calibration is of.
struct CalibrationOf {
  std::string split;
  std::string contents;  ///< of its questions, as a checkpoint's identity has them
  int64_t step = -1;     ///< of the parameters, where that is known
  /// How the questions were asked otherwise than the run asks them: settings, files, the video.
  std::vector<std::string> differences = {};
};

/// A temperature for the softmax of minus the scores / T.
struct Temperature {
  double value = 1;
  double nll = 0;  ///< mean negative log-likelihood of the right option there, in nats
};
/// The temperature with the least NLL, from 0.01 to 100, of the questions whose answer is known:
/// Guo et al., arXiv:1706.04599. None where the NLL falls on towards an end: every answer is right,
/// or the scores say nothing. In 1/T the NLL is convex; its slope's zero is found by halving, so
/// that equal scores give equal bits.
std::optional<Temperature> fit_temperature(const Dataset& data,
                                           std::span<const OptionScores> scores);

/// calibration.json: {"of": {"split", "contents", "step", "differences"}, "questions", "accuracy",
/// "temperature": {"used", "nll", "fitted", "fitted_nll"}, "certainties": {"u", "probability",
/// "entropy"}}, each with the numbers above, `risk_at_coverage`, `coverage_at_risk` and
/// `effective_reliability` by per cent, per cent and cost, `reliability` [[certainty, accuracy,
/// questions], ...] and `risk_coverage` [[coverage, risk, threshold], ...] of at most 200 points.
/// "" for a split that hides its answers.
std::string calibration_text(const Dataset& data, std::span<const OptionScores> scores,
                             const CalibrationOf& of, double temperature = 1);

}  // namespace bovila
