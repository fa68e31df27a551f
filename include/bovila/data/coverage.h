// What a split's questions lack: features, frames, dialogues. A few gaps are in the official data;
// many are a mistake, which training would not notice.
// Fed by samples and the feature store; feeds the start of a run and data/data_report.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bovila/data/sample.h"
#include "bovila/features/feature_store.h"

namespace bovila {

struct Coverage {
  std::string split;
  int64_t num_questions = 0;
  int64_t num_videos = 0;            ///< that clips are of, each counted once
  std::vector<std::string> missing;  ///< those without features, sorted
  int64_t num_past_end = 0;          ///< clips that begin behind the end of their video
  std::string first_past_end;        ///< id of the first such question
  int64_t num_without_dialogue = 0;  ///< questions with nothing said, in a split with subtitles
};

/// `features` may be null: then nothing is known of them. `subtitles`: data.subtitles of the deck.
Coverage measure_coverage(const std::string& split, std::span<const Sample> samples,
                          const FeatureStore* features, bool subtitles);

/// What is missing, in lines without the split's name; none when nothing is.
std::vector<std::string> gaps_text(const Coverage& coverage);

/// @throws UserError when more than `max_missing` of the videos have no features, or of the clips
/// no frame, with the likely reason (data/video_names.h). `folder` is the feature set's.
void require_features(const Coverage& coverage, const FeatureStore& features, double max_missing,
                      const std::string& folder);

}  // namespace bovila
