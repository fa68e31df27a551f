// What the model thinks of one question's options, without LibTorch.
// Fed by evaluation/evaluator.h; feeds report/metrics.h and, half-way through an evaluation,
// TrainState.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace bovila {

struct OptionScores {
  int64_t row = 0;
  std::vector<double> loss;         ///< mean negative log-likelihood of the option's label tokens
  std::vector<double> uncertainty;  ///< mean u of the same tokens; as many as losses
  std::vector<double> turned = {};  ///< with eval.options = "rotations" also the losses of turns 1,
                                    ///< 2, ... of the options (data/probes.h), each by option

  /// Index of the option with the lowest loss (the first of equals).
  int64_t prediction() const { return std::ranges::min_element(loss) - loss.begin(); }
};

}  // namespace bovila
