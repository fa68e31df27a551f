// How certain an answer is, from 0 to 1, in three ways that are put side by side:
//   u             1 - u of the chosen option; where no evidential loss teaches u it says nothing
//   probability   the largest of the softmax of minus the options' scores / T, T a temperature
//   entropy       1 - H / log K, with H the entropy of that softmax over K options
// Fed by evaluation/option_scores.h; feeds report/calibration.h and evaluation/abstention.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "bovila/evaluation/option_scores.h"

namespace bovila {

inline double certainty_of_u(const OptionScores& scores) {
  return 1 - scores.uncertainty[static_cast<size_t>(scores.prediction())];
}

/// The softmax of minus the scores / temperature.
inline std::vector<double> probabilities(const OptionScores& scores, double temperature = 1) {
  const double least = std::ranges::min(scores.loss);
  std::vector<double> shares;
  double sum = 0;
  for (const double loss : scores.loss) {
    sum += shares.emplace_back(std::exp((least - loss) / temperature));
  }
  for (double& share : shares) share /= sum;
  return shares;
}

inline double certainty_of_probability(const OptionScores& scores, double temperature = 1) {
  return std::ranges::max(probabilities(scores, temperature));
}

/// 1 for a single option.
inline double certainty_of_entropy(const OptionScores& scores, double temperature = 1) {
  double entropy = 0;
  for (const double p : probabilities(scores, temperature)) entropy -= p > 0 ? p * std::log(p) : 0;
  const double most = std::log(static_cast<double>(scores.loss.size()));
  return most > 0 ? std::clamp(1 - entropy / most, 0.0, 1.0) : 1;
}

}  // namespace bovila
