// Questions asked otherwise than the data set asks them, to learn what a model answers by: without
// their video, with its frames in another order, with another one's; with other letters.
// Fed by samples, features, eval.video and eval.options; feeds data/dataset.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "bovila/config/config.h"
#include "bovila/data/clip.h"
#include "bovila/data/sample.h"
#include "bovila/features/feature_store.h"

namespace bovila {

/// The frames of a clip that are shown, in their order.
struct ShownFrames {
  std::span<const FrameSpan> clip;
  std::vector<FrameChoice> frames;
};

/// What eval.video shows with a question of a split: its own frames, none, those in a random order,
/// or the frames of a question that has no video in common with it. What is random depends on the
/// seed, the question's id and the split. @throws UserError when all questions share a video.
ShownFrames shown_frames(const FeatureStore& features, std::span<const Sample> samples, int64_t row,
                         const Config& config);

/// The question with each option moved on by `turn` letters towards A, the first ones to the end.
Sample turned(const Sample& sample, int turn);

}  // namespace bovila
