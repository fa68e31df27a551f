// `bovila answer`: single questions to a trained model, one at a time, as they come.
// Fed by data/query.h and a model; feeds whoever asks, with a JSON object for each question.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <ostream>
#include <string>

#include "bovila/config/config.h"
#include "bovila/data/prompt.h"
#include "bovila/data/query.h"
#include "bovila/evaluation/abstention.h"
#include "bovila/evaluation/option_scores.h"
#include "bovila/features/feature_store.h"
#include "bovila/model/bovila.h"

namespace bovila {

/// The parts must outlive it. Scores are those of an evaluation (evaluation/evaluator.h) with one
/// question in a batch. Not thread-safe.
class Answerer {
 public:
  Answerer(const Config& config, const FeatureStore& features, const Tokenizer& tokenizer,
           const Bovila& model);

  /// Fills in what the query leaves out. @throws UserError for a question that cannot be answered,
  /// ProgramError when the model's answer is not finite.
  OptionScores answer(Query& query) const;

 private:
  const Config& config_;
  const FeatureStore& features_;
  PromptBuilder prompts_;
  const Bovila& model_;
};

/// {"id", "video", "question", "options", "answer": "B", "index": 1, "scores", "uncertainty"} in
/// one line: what was asked (and "missing", the videos that zeros stand for), the letter and the
/// number (from 0) of the answer, each option's mean negative log-likelihood (the least wins), and
/// the uncertainty of the answer, 0 to 1. With an abstention also its "certainty" and "abstains":
/// true where the answer had better not be taken.
std::string answer_text(const Query& query, const OptionScores& scores,
                        const std::optional<Abstention>& abstention = {});

/// Answers one JSON question a line until the end of `in`, each before the next is read; blank
/// lines count and are passed over. What cannot be answered gives {"line": n, "id", "error":
/// "..."}. Returns the number of those. @throws ProgramError when `out` cannot be written to.
int64_t answer_lines(std::istream& in, std::ostream& out, const Answerer& answerer,
                     const std::optional<Abstention>& abstention = {});

}  // namespace bovila
