// Video features on disk: sharded HDF5, written by tools/pth2h5, read on demand.
// Fed by a feature folder; feeds data/clip.h with the rows that a question needs.
//
// Layout of a folder, written by features/feature_writer.h:
//   shard-00000.h5 ...  /frames [rows, width] half or float: all videos of the shard, one after
//   another; the width is the encoder's, 768 for CLIP ViT-L/14, and the same in all shards
//                       /checksums [rows] uint64: CRC-32 of each frame's bytes
//   index.json          version, element type, source, and per shard its videos with their frames
//   manifest.json       SHA-256 of index.json, size and SHA-256 of each shard; written last
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bovila {

inline constexpr int64_t kFeatureDim = 768;       ///< CLIP ViT-L/14, the published width
inline constexpr int64_t kMaxFeatureDim = 65536;  ///< no encoder's is wider

/// A feature folder opened read-only. Memory: one index entry a video, no frames. Reads go through
/// the process-wide HDF5 lock, so any thread may call. Each rank opens its own.
class FeatureStore {
 public:
  /// @throws UserError when the folder is missing, incomplete, damaged, or of an unknown version.
  explicit FeatureStore(const std::string& folder);
  /// One video's features in a file of their own: HDF5 with /frames [rows, width], half or float,
  /// and no checksums. The video is called as the file, without its extension. @throws UserError.
  static FeatureStore of_one_video(const std::string& file);
  ~FeatureStore();
  FeatureStore(FeatureStore&&) noexcept;
  FeatureStore& operator=(FeatureStore&&) noexcept;

  int64_t num_videos() const;
  /// Width of a frame.
  int64_t dim() const;
  /// Whether numbers are stored as halves, else as fp32.
  bool is_half() const;
  /// Frames of a video; none when it is not in the store.
  std::optional<int64_t> num_frames(std::string_view video) const;
  /// All names, sorted.
  std::vector<std::string> names() const;
  /// Reads frames `rows` (each in [0, num_frames), ascending) of `video` as fp32 into
  /// out [rows.size(), dim()] and checks each one's checksum.
  /// @throws UserError naming shard, video and frame when one cannot be read or is damaged.
  void read(std::string_view video, std::span<const int64_t> rows, std::span<float> out) const;
  /// Reads all frames of `video` as they are stored into out [num_frames, dim()], halves or fp32,
  /// and checks each one's checksum. @throws as read.
  void read_stored(std::string_view video, std::span<std::byte> out) const;
  /// Reads every frame of every video; `progress` hears each video's bytes.
  /// @throws UserError naming the first damaged one.
  void verify(const std::function<void(int64_t)>& progress = {}) const;
  /// What the set was made from: PthFile::identity() of its source.
  const std::string& source() const;
  int64_t num_shards() const;

 private:
  struct Impl;
  explicit FeatureStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Proves every byte of a feature set: index, shards, and then, once HDF5 can be trusted with them,
/// every frame. `progress(done, total)` is in bytes. Returns the number of videos.
/// @throws UserError naming the first damaged file or video.
int64_t verify_feature_set(const std::string& folder,
                           const std::function<void(int64_t, int64_t)>& progress = {});

}  // namespace bovila
