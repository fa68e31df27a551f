// The questions that the model asks itself, as text for people: VAQ's most likely tokens.
// Fed by a split's questions and the model; feeds questions.jsonl (report/metrics.h). Training
// samples its self-made questions from the same logits (objective/objective.h); here nothing is
// drawn.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "bovila/config/config.h"
#include "bovila/data/dataset.h"
#include "bovila/dist/preemption.h"
#include "bovila/dist/rank_grid.h"
#include "bovila/evaluation/evaluator.h"
#include "bovila/model/bovila.h"
#include "bovila/text/tokenizer.h"

namespace bovila {

/// The question of each example in one pass: at each of its places the token that the model holds
/// most likely there, given video, options, right answer, and the annotated question up to there.
/// `batch` must not be empty.
std::vector<std::string> ask_questions(const Bovila& model, std::span<const Example> batch,
                                       const Tokenizer& tokenizer);

struct AskedQuestions {
  std::map<int64_t, std::string> text;  ///< by row; a question that hides its answer has none
  StopReason stopped;                   ///< set: not all of them were asked
};

/// Collective: asks all questions of a split, shared out among the groups in batches of
/// eval.batch_size, and returns all on all ranks. The ranks agree before each batch whether to
/// stop.
/// @throws AgreedError on all ranks when one fails.
AskedQuestions ask_split(const Bovila& model, const Dataset& data, const Tokenizer& tokenizer,
                         const Config& config, const RankGrid& ranks, const Preemption& preemption,
                         const EvaluationProgress& progress);

}  // namespace bovila
