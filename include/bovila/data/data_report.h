// What `bovila --check` says about a split: sizes, missing features, prompt lengths.
// Fed by samples, the prompt builder and the feature store; feeds src/main/check.cpp with lines
// to print.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bovila/data/coverage.h"
#include "bovila/data/option_order.h"
#include "bovila/data/prompt.h"
#include "bovila/data/sample.h"
#include "bovila/features/feature_store.h"

namespace bovila {

/// Lengths count tokens. A question's prompt length is that of the longer of its VQA and VAQ prompt
/// (VQA alone when its answer is hidden), after its dialogue was cut.
struct DataReport {
  std::string split;
  int64_t num_questions = 0;
  int64_t num_options = 0;  ///< of each question
  int64_t num_videos = 0;   ///< that the questions are about
  bool answers_hidden = false;
  LetterCounts right;  ///< of the right answers
  Coverage coverage;   ///< what is missing
  int64_t max_seq_len = 0;
  int64_t min_length = 0;
  int64_t median_length = 0;  ///< the upper one of two
  int64_t max_length = 0;
  std::string longest_question;    ///< id of the first question with max_length
  std::vector<int64_t> over_long;  ///< lengths of those longer than max_seq_len (SPEC D6)
  int64_t num_cut = 0;             ///< questions whose dialogue was cut to fit
};

/// Builds every prompt once, in `num_threads` threads (at least 1). `features` may be null: then
/// nothing is said about them. `subtitles`: the prompts are to have dialogues. `samples` are not
/// empty.
DataReport make_data_report(const std::string& split, std::span<const Sample> samples,
                            const PromptBuilder& prompts, const FeatureStore* features,
                            bool subtitles, int64_t max_seq_len, int num_threads);

/// The report as lines of text, each starting with the split's name.
std::vector<std::string> format_report(const DataReport& report);

}  // namespace bovila
