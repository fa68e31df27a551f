// Named streams draw an order of frames, and another question.
#include "bovila/data/probes.h"

#include <algorithm>

#include "bovila/core/error.h"
#include "bovila/core/random.h"

namespace bovila {
namespace {

RandomStream stream_of(const Config& config, const char* purpose, const Sample& sample) {
  return RandomStream(
      stream_key(static_cast<uint64_t>(config.train.seed), purpose + sample.question_id));
}

bool share_a_video(const Sample& one, const Sample& other) {
  return std::ranges::any_of(one.clip, [&](const FrameSpan& span) {
    return std::ranges::count(other.clip, span.video, &FrameSpan::video) > 0;
  });
}

/// The first question, from one that is drawn on, that is about other videos.
const Sample& draw_other(std::span<const Sample> samples, const Sample& sample,
                         const Config& config) {
  const size_t start = stream_of(config, "another video than of ", sample).below(samples.size());
  for (size_t i = 0; i < samples.size(); ++i) {
    const Sample& other = samples[(start + i) % samples.size()];
    if (!share_a_video(sample, other)) return other;
  }
  throw UserError(
      "eval.video = \"other\" shows the frames of a question about another video, and every "
      "question of the split is about a video of question '{}'",
      sample.question_id);
}

}  // namespace

ShownFrames shown_frames(const FeatureStore& features, std::span<const Sample> samples, int64_t row,
                         const Config& config) {
  const Sample& asked = samples[static_cast<size_t>(row)];
  if (config.eval.video == VideoShown::kNone) return {asked.clip, {}};
  const bool is_other = config.eval.video == VideoShown::kOther;
  const Sample& seen = is_other ? draw_other(samples, asked, config) : asked;
  ShownFrames shown{seen.clip, choose_frames(features, seen.clip, config.model.max_feats)};
  if (config.eval.video == VideoShown::kShuffled) {
    RandomStream random = stream_of(config, "frame order of ", asked);
    for (size_t i = shown.frames.size(); i > 1; --i) {
      std::swap(shown.frames[i - 1], shown.frames[random.below(i)]);
    }
  }
  return shown;
}

Sample turned(const Sample& sample, int turn) {
  const int options = static_cast<int>(sample.options.size());
  Sample other = sample;
  other.order.clear();
  for (int place = 0; place < options; ++place) {
    other.order.push_back(sample.option_at((place + turn) % options));
  }
  return other;
}

}  // namespace bovila
