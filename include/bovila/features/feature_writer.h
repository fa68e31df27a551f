// Writes a feature set: shards of about the same size, visible only as a whole.
// Fed by tools/pth2h5 with one video at a time; feeds features/feature_store.h, which has the
// layout.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "bovila/core/output_place.h"
#include "bovila/features/feature_store.h"

namespace bovila {

struct VideoFrames {
  std::string name;
  int64_t num_frames = 0;  ///< at least 1
};

/// What is to be written. All videos have one element type and one width.
struct FeatureSource {
  std::string identity;  ///< kept in the set, to recognise it
  bool half = true;      ///< 16-bit elements, else fp32
  std::vector<VideoFrames> videos;
  /// Reads video i, num_frames * dim elements of the type above.
  std::function<void(size_t video, std::span<std::byte> out)> read;
  int64_t dim = kFeatureDim;            ///< width of a frame
  std::vector<std::string> notes = {};  ///< what was left out, for people
};

/// Videos without frames count as missing: notes those that are left out.
/// @throws UserError when `source`, which `path` names, has no others.
void note_left_out(FeatureSource& source, const std::vector<std::string>& empty,
                   const std::string& path);

/// @throws UserError when one of a video's values is infinite or NaN; `what` names the video.
void require_finite_frames(std::span<const std::byte> frames, bool half, const std::string& what);

/// Videos of each shard, by number, so that the shards have about the same number of frames; in a
/// shard they are in the source's order. Never more shards than videos.
std::vector<std::vector<size_t>> balance_shards(std::span<const VideoFrames> videos,
                                                int64_t num_shards);

/// Its files, to tell a set from what else a folder may hold.
const Product& feature_set_product();

/// Writes the set to `folder`, which with `replace` may hold an old one; until the new one is whole
/// the old one stays. A link is followed; a folder with other files in it is never replaced.
/// Left-overs of killed writers are removed. `progress` hears each video's bytes. Memory: the
/// largest video. @throws what `read` throws, UserError when the place is taken, and ProgramError
/// with the system's reason; then nothing of the new set is left.
void write_feature_set(const std::filesystem::path& folder, const FeatureSource& source,
                       int64_t num_shards, bool replace,
                       const std::function<void(int64_t)>& progress);

}  // namespace bovila
