// Which frames of a clip the model sees, and their features (SPEC 4).
// Fed by data/sample.h and features/feature_store.h; feeds data/dataset.h. F = max_feats, video
// tokens.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bovila/data/sample.h"
#include "bovila/features/feature_store.h"

namespace bovila {

/// One frame of a clip: row `row` of span `span`'s video, or a zero row.
struct FrameChoice {
  static constexpr int64_t kZeroRow = -1;
  int64_t span = 0;
  int64_t row = 0;
  bool operator==(const FrameChoice&) const = default;
};

/// The frames of a clip whose span i lies in a video of num_frames[i] frames (none: it is missing
/// and counts as one zero row). At most `max_feats`; of a longer clip with n rows, rows (j * n) /
/// F.
std::vector<FrameChoice> choose_frames(std::span<const FrameSpan> clip,
                                       std::span<const std::optional<int64_t>> num_frames,
                                       int64_t max_feats);

/// The same with the videos of a store.
std::vector<FrameChoice> choose_frames(const FeatureStore& features,
                                       std::span<const FrameSpan> clip, int64_t max_feats);

/// Reads chosen frames of a clip, in their order, into out [F, features.dim()], zeros behind the
/// last. Any thread may call. @throws UserError when the features cannot be read.
void read_frames(const FeatureStore& features, std::span<const FrameSpan> clip,
                 std::span<const FrameChoice> chosen, std::span<float> out);

struct ClipRead {
  int64_t num_frames = 0;   ///< rows filled, zero rows of missing videos among them; the rest is 0
  int64_t num_missing = 0;  ///< spans whose video has no features
};

/// Reads a clip's frames into out [F, features.dim()], zeros behind the last. Any thread may call.
/// @throws UserError when the features cannot be read.
ClipRead read_clip(const FeatureStore& features, std::span<const FrameSpan> clip, int64_t max_feats,
                   std::span<float> out);

/// Scales each of the frames [F, dim] to length 1; zeros stay.
void normalize(std::span<float> frames, int64_t dim);

/// Takes the ending of a video file (.mp4, .mkv, ...) off the names of videos that the store has
/// under the name without it only.
void name_as_stored(const FeatureStore& features, std::vector<Sample>& samples);

/// Names of the videos that samples need and the store lacks: sorted, each once.
std::vector<std::string> find_missing_videos(const FeatureStore& features,
                                             std::span<const Sample> samples);

}  // namespace bovila
