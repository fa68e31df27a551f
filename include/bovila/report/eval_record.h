// eval-record.json: what the numbers of the eval.json beside it are of.
// Fed by --eval; read by people, by tools/, and by the next --eval in the folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bovila/report/metrics.h"

namespace bovila {

struct EvalRecord {
  std::string checkpoint;                       ///< its folder or file; "" for start values
  std::string contents;                         ///< size and hash of what is in it
  int64_t step = -1;                            ///< that it is of, where that is known
  std::map<std::string, std::string> settings;  ///< by the deck's key: those that change answers
  std::map<std::string, std::string> identity;  ///< of weights, tokenizer, features and questions
  std::vector<std::string> differences;         ///< from the run, that were asked for
  std::string deck;                             ///< the resolved deck
  std::map<std::string, std::string> build;     ///< of the program that scored
  int64_t num_ranks = 1;
  EvalConfig eval;  ///< how the questions were asked
};

/// One JSON object: "checkpoint", "settings", "contents", "differences", "result", "deck", "build",
/// "ranks". Equal evaluations give equal bytes.
std::string to_text(const EvalRecord& record, const Accuracy& result);

/// What was in `folder` before, when it is of other settings or files than `text` is, or of unknown
/// ones: "its settings: ..." ; nothing when eval.json may be replaced.
std::optional<std::string> other_evaluation(const std::filesystem::path& folder,
                                            const std::string& text);

}  // namespace bovila
