// Video features on disk: sharded HDF5, written by tools/pth2h5, read on demand.
// Fed by a feature folder; feeds data/clip.h with the rows that a question needs.
//
// Layout of a folder:
//   shard-00000.h5 ...   /frames [rows, 768] half or float: all videos of the shard, one after another
//                        /names, /first, /count, /checksum: one entry a video
//   manifest.json        format version, shards with sizes and hashes; written last
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bovila {

inline constexpr int64_t kFeatureDim = 768;  ///< CLIP ViT-L/14

/// A feature folder opened read-only. Memory: one index entry a video, no frames. Reads go through
/// the process-wide HDF5 lock, so any thread may call. Each rank opens its own.
class FeatureStore {
 public:
  /// @throws UserError when the folder is missing, incomplete, or of an unknown version.
  explicit FeatureStore(const std::string& folder);
  ~FeatureStore();
  FeatureStore(FeatureStore&&) noexcept;
  FeatureStore& operator=(FeatureStore&&) noexcept;

  int64_t num_videos() const;
  /// Frames of a video; none when it is not in the store.
  std::optional<int64_t> num_frames(std::string_view video) const;
  /// All names, sorted.
  std::vector<std::string> names() const;
  /// Reads frames `rows` (each in [0, num_frames), ascending) of `video` as fp32 into
  /// out [rows.size(), kFeatureDim]. @throws UserError when the shard cannot be read.
  void read(std::string_view video, std::span<const int64_t> rows, std::span<float> out) const;
  /// Reads every video and compares its checksum. @throws UserError naming the first damaged one.
  void verify() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bovila
