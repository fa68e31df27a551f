// One question of a data set as its annotation says it, before tokenisation and feature reading.
// Fed by data/annotations.h; feeds data/prompt.h (texts) and data/clip.h (frames).
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace bovila {

/// Consecutive frames [first, last) of one video of the feature store. Rows beyond the video's end
/// are not there, as in a Python slice; kToEnd means all rows from `first`.
struct FrameSpan {
  static constexpr int64_t kToEnd = -1;
  std::string video;
  int64_t first = 0;
  int64_t last = kToEnd;
};

/// One multiple-choice question about one clip.
struct Sample {
  int64_t row = 0;          ///< place in its split, from 0; `qid` in predictions
  std::string question_id;  ///< the data set's own id; the row in digits when it has none
  std::string video_id;     ///< `vid` in predictions
  std::string question;     ///< normalised (SPEC 3): "What did the boy do?"
  std::vector<std::string> options;
  std::optional<int> answer;    ///< index among `options`; none when the split hides it
  int question_type = -1;       ///< STAR: 1..4 (SPEC 4); -1 elsewhere
  bool about_dialogue = false;  ///< TVQA, VLEP: the instruction says "based on the dialogue,"
  std::optional<std::string> dialogue;  ///< none: the prompt has no `Dialogue:` part
  std::vector<FrameSpan> clip;          ///< concatenated; one zero row for each missing video
  std::vector<int> order;  ///< of the options in the prompts (data/option_order.h); none: theirs

  /// The option that has the letter of this place in the prompts, and the other way round.
  int option_at(int place) const { return order.empty() ? place : order[size_t(place)]; }
  int place_of(int option) const {
    if (order.empty()) return option;
    return static_cast<int>(std::ranges::find(order, option) - order.begin());
  }
};

}  // namespace bovila
