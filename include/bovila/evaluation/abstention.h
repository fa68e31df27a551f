// When a model had better not answer: a threshold of its certainty, from a run's validation split.
// Fed by calibration.json (report/calibration.h); feeds evaluation/answerer.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "bovila/evaluation/option_scores.h"

namespace bovila {

/// Answers less certain than `threshold` are abstained from.
struct Abstention {
  bool by_u = false;       ///< the certainty is 1 - u, else the largest probability
  double temperature = 1;  ///< of the softmax that gives the probabilities
  double threshold = 0;    ///< above 1: no threshold has so little risk, nothing is answered
  double coverage = 0;     ///< of the validation split: the share of its questions that is answered
  double risk = 0;         ///< ... and the share of wrong answers among them
  int64_t step = -1;       ///< of the parameters that it was evaluated with, where that is known

  double certainty_of(const OptionScores& scores) const;
  bool abstains(const OptionScores& scores) const { return certainty_of(scores) < threshold; }
};

/// The threshold that answers most of the validation split with at most this share of wrong
/// answers, 0 to 1: of u or of the probability, whichever answers more. `split` and `contents`
/// (train/identity.h) are those of the run's validation split; "" when they are unknown. @throws
/// UserError when the file is not there, not whole, or of another split, probe or setting than the
/// run's.
Abstention read_abstention(const std::filesystem::path& calibration, double risk,
                           const std::string& split, const std::string& contents);
/// "abstains where 1 - u is below 0.62: 71.0 % of the validation split are answered, 4.9 % of them
/// wrong"
std::string to_text(const Abstention& abstention);

}  // namespace bovila
