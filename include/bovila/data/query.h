// A question that is asked from outside any data set, worded as the deck's data set words its own.
// Fed by the command line or a line of JSON; feeds data/prompt.h and data/clip.h by
// evaluation/answerer.h.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bovila/config/config.h"
#include "bovila/data/sample.h"
#include "bovila/features/feature_store.h"

namespace bovila {

/// What is asked, as it was typed.
struct Query {
  std::vector<std::string> videos;  ///< shown one after the other; none: the store's only one
  std::string question;             ///< "": the data set's, where all of its are the same (VLEP)
  std::vector<std::string> options;
  std::optional<double> start_s, end_s;  ///< the clip; none: all of the video
  std::optional<std::string> dialogue;   ///< what is said in the clip
  bool allow_missing = false;            ///< of several videos some may have no features
  std::vector<std::string> missing;      ///< those: zeros stand for them
  std::string id;                        ///< JSON, for the asker; "" when there is none
  std::vector<std::string> problems;     ///< what is wrong with its line
};

/// {"video": "V1", "question": "...", "options": ["...", ...], "start": 2.5, "end": 7, "dialogue":
/// "...", "allow_missing": true, "id": ...}; `video` may be a list, and all but the options may be
/// left out or null. What is wrong with keys and values goes to query.problems, and the rest is
/// read. @throws UserError for a line that is no JSON object.
void parse_query(std::string_view json, Query& query);

/// The question as one of the deck's data set: normalised, with its instruction, dialogue and frame
/// rate. The video and the question are filled in where they were left out. Of several videos some
/// may have no features where the query allows it, zero rows as in the data sets: query.missing.
/// @throws UserError with all of query.problems, and what cannot be asked of whom.
Sample make_sample(Query& query, const DataConfig& config, const FeatureStore& features);

}  // namespace bovila
