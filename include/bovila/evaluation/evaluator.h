// Answers: every option is scored, the least surprising one wins. SPEC 7.
// Fed by a split's questions and the model; feeds report/metrics.h with predictions and accuracy.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "bovila/config/config.h"
#include "bovila/data/dataset.h"
#include "bovila/dist/preemption.h"
#include "bovila/dist/rank_grid.h"
#include "bovila/evaluation/option_scores.h"
#include "bovila/model/bovila.h"

namespace bovila {

/// Scores a batch of questions in one pass: the options of a question are branches of one row, so
/// its prefix is computed once, and the choices once for each of their orders. `batch` must not be
/// empty. Where nothing gives an uncertainty (LossConfig::has_uncertainty) it is 0.
std::vector<OptionScores> score_options(const Bovila& model, std::span<const OptionExample> batch,
                                        const LossConfig& config);

/// Called after each batch with the number of questions that this rank has done and has to do.
using EvaluationProgress = std::function<void(int64_t done, int64_t total)>;

struct Evaluation {
  std::vector<OptionScores> scores;  ///< by row; all of the split unless it was stopped
  StopReason stopped;
  /// Questions with an option's prompt longer than model.max_seq_len: they are scored whole (SPEC
  /// D6).
  int64_t num_over_long = 0;
};

/// Collective: scores every question of a split once, shared out among the groups of ranks, and
/// returns all scores on all ranks. Those in `before`, of an evaluation that was stopped, are not
/// computed again. Batches are formed before they are shared out, so results do not depend on the
/// number of ranks, nor on stops. The ranks agree before each batch whether to stop. @throws
/// AgreedError on all ranks when one fails, or a score is not finite.
Evaluation evaluate(const Bovila& model, const Dataset& data, const Config& config,
                    const RankGrid& ranks, const Preemption& preemption,
                    std::vector<OptionScores> before, const EvaluationProgress& progress);

}  // namespace bovila
