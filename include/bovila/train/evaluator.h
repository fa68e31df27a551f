// Answers: every option is scored, the least surprising one wins. SPEC 7.
// Fed by a split's questions and the model; feeds train/metrics.h with predictions and accuracy.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "bovila/config/config.h"
#include "bovila/data/dataset.h"
#include "bovila/dist/communicator.h"
#include "bovila/model/bovila.h"

namespace bovila {

/// What the model thinks of one question's options.
struct OptionScores {
  int64_t row = 0;
  std::vector<double> loss;         ///< mean negative log-likelihood of the option's label tokens
  std::vector<double> uncertainty;  ///< mean u of the same tokens

  /// Index of the option with the lowest loss (the first of equals).
  int64_t prediction() const;
};

/// Scores a batch of questions in one pass: the options of a question are branches of one row, so
/// its prefix is computed once. `batch` must not be empty. Without an evidential loss nothing
/// teaches the uncertainty: it is 0 then.
std::vector<OptionScores> score_options(const Bovila& model, std::span<const OptionExample> batch,
                                        const LossConfig& config);

/// Called after each batch with the number of questions that this rank has done and has to do.
using EvaluationProgress = std::function<void(int64_t done, int64_t total)>;

/// Collective: scores every question of a split once, shared out among the ranks, and returns all
/// scores on all ranks, by row. Batches are formed before they are shared out, so results do not
/// depend on the number of ranks. @throws AgreedError on all ranks when one fails, or a score is
/// not finite.
std::vector<OptionScores> evaluate(const Bovila& model, const Dataset& data, const Config& config,
                                   Communicator& ranks, const EvaluationProgress& progress);

}  // namespace bovila
