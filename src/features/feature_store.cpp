// An index in memory, and rows read from open shards.
#include "bovila/features/feature_store.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "bovila/core/error.h"
#include "bovila/core/float16.h"
#include "bovila/core/hash.h"
#include "bovila/core/hdf5.h"
#include "src/features/feature_index.h"

namespace bovila {
namespace {

struct Location {
  size_t shard = 0;
  int64_t first = 0;
  int64_t count = 0;
};

struct Shard {
  std::string path;
  hdf5::Handle file;
};

constexpr int64_t kMaxReadElements = int64_t{2048} * kFeatureDim;  // bounds a read's memory: 6 MB

bool has_width(const std::vector<int64_t>& shape) {
  return shape.size() == 2 && shape[1] > 0 && shape[1] <= kMaxFeatureDim;
}

/// Runs of consecutive numbers in an ascending list, as (place in the list, length of at most
/// `longest`).
std::vector<std::pair<size_t, size_t>> runs_of(std::span<const int64_t> rows, size_t longest) {
  std::vector<std::pair<size_t, size_t>> runs;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i > 0 && rows[i] == rows[i - 1] + 1 && runs.back().second < longest) {
      ++runs.back().second;
    } else {
      runs.emplace_back(i, 1);
    }
  }
  return runs;
}

}  // namespace

struct FeatureStore::Impl {
  std::string folder;
  std::string source;
  bool half = true;
  bool has_checksums = true;
  int64_t dim = 0;
  std::vector<Shard> shards;
  std::map<std::string, Location, std::less<>> videos;

  /// Frames of one read.
  int64_t max_run() const { return std::max<int64_t>(kMaxReadElements / dim, 1); }
  hdf5::Type type() const { return half ? hdf5::Type::kFloat16 : hdf5::Type::kFloat32; }

  void open_shard(const std::vector<VideoFrames>& contents) {
    const size_t number = shards.size();
    const auto path = folder + "/" + shard_name(number);
    Shard shard{path, hdf5::open_file(path)};
    int64_t rows = 0;
    for (const VideoFrames& video : contents) {
      videos.emplace(video.name, Location{number, rows, video.num_frames});
      rows += video.num_frames;
    }
    const auto frames = hdf5::describe(shard.file.get(), "frames");
    const auto checksums = hdf5::describe(shard.file.get(), "checksums");
    if (shards.empty() && has_width(frames.shape)) dim = frames.shape[1];
    if (!has_width(frames.shape) || frames.shape != std::vector<int64_t>{rows, dim} ||
        frames.type != type() || checksums.shape != std::vector<int64_t>{rows}) {
      throw UserError(
          "{} does not hold the {} frames that index.json says; convert the features "
          "again",
          path, rows);
    }
    shards.push_back(std::move(shard));
  }

  const Location& find(std::string_view video) const {
    const auto found = videos.find(video);
    BOVILA_CHECK(found != videos.end(), "no video '{}' in {}", video, folder);
    return found->second;
  }

  /// Reads `count` frames of a shard from row `first` on, checked, as they are stored.
  std::vector<std::byte> read_checked(std::string_view video, const Location& at, int64_t first,
                                      int64_t count) const {
    const Shard& shard = shards[at.shard];
    const size_t frame_bytes = static_cast<size_t>(dim) * hdf5::size_of(type());
    std::vector<std::byte> frames(static_cast<size_t>(count) * frame_bytes);
    const int64_t row = at.first + first;
    hdf5::read_rows(shard.file.get(), "frames", type(), row, count, frames);
    if (!has_checksums) return frames;
    std::vector<uint64_t> checksums(static_cast<size_t>(count));
    hdf5::read_rows(shard.file.get(), "checksums", hdf5::Type::kUInt64, row, count,
                    std::as_writable_bytes(std::span(checksums)));
    for (size_t i = 0; i < checksums.size(); ++i) {
      if (crc32(std::span(frames).subspan(i * frame_bytes, frame_bytes)) == checksums[i]) continue;
      throw UserError(
          "{}: frame {} of video '{}' is damaged (its checksum is wrong); convert the "
          "features again",
          shard.path, first + static_cast<int64_t>(i), video);
    }
    return frames;
  }

  void to_floats(std::span<const std::byte> frames, std::span<float> out) const {
    if (half) {
      halves_to_floats({reinterpret_cast<const uint16_t*>(frames.data()), out.size()}, out);
    } else {
      std::ranges::copy(frames, std::as_writable_bytes(out).begin());
    }
  }
};

FeatureStore::FeatureStore(const std::string& folder) : impl_(std::make_unique<Impl>()) {
  FeatureIndex index = read_feature_index(folder);
  impl_->folder = folder;
  impl_->source = index.source;
  impl_->half = index.half;
  for (const auto& contents : index.shards) impl_->open_shard(contents);
}

FeatureStore::FeatureStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

FeatureStore FeatureStore::of_one_video(const std::string& file) {
  const auto folder = std::filesystem::path(file).parent_path();
  std::error_code ignored;
  if (std::filesystem::exists(folder / "index.json", ignored)) {
    throw UserError(
        "{} is a part of the feature set {}, with frames of any of its videos: name the "
        "folder",
        file, folder.string());
  }
  auto impl = std::make_unique<Impl>();
  Shard shard{file, hdf5::open_file(file)};
  const auto frames = hdf5::describe(shard.file.get(), "frames");
  const bool fits = has_width(frames.shape) && frames.shape[0] > 0 &&
                    (frames.type == hdf5::Type::kFloat16 || frames.type == hdf5::Type::kFloat32);
  if (!fits) {
    throw UserError("{}: expected /frames of shape [frames, width], float16 or float32", file);
  }
  impl->folder = impl->source = file;
  impl->half = frames.type == hdf5::Type::kFloat16;
  impl->has_checksums = false;
  impl->dim = frames.shape[1];
  impl->videos.emplace(std::filesystem::path(file).stem().string(),
                       Location{0, 0, frames.shape[0]});
  impl->shards.push_back(std::move(shard));
  return FeatureStore(std::move(impl));
}

FeatureStore::~FeatureStore() = default;
FeatureStore::FeatureStore(FeatureStore&&) noexcept = default;
FeatureStore& FeatureStore::operator=(FeatureStore&&) noexcept = default;

int64_t FeatureStore::num_videos() const {
  return static_cast<int64_t>(impl_->videos.size());
}

int64_t FeatureStore::dim() const {
  return impl_->dim;
}

bool FeatureStore::is_half() const {
  return impl_->half;
}

std::optional<int64_t> FeatureStore::num_frames(std::string_view video) const {
  const auto found = impl_->videos.find(video);
  if (found == impl_->videos.end()) return std::nullopt;
  return found->second.count;
}

std::vector<std::string> FeatureStore::names() const {
  std::vector<std::string> names;
  for (const auto& [name, location] : impl_->videos) names.push_back(name);
  return names;
}

const std::string& FeatureStore::source() const {
  return impl_->source;
}

int64_t FeatureStore::num_shards() const {
  return std::ssize(impl_->shards);
}

void FeatureStore::read(std::string_view video, std::span<const int64_t> rows,
                        std::span<float> out) const {
  const Location& at = impl_->find(video);
  const auto width = static_cast<size_t>(dim());
  BOVILA_CHECK(out.size() == rows.size() * width &&
                   std::ranges::all_of(rows, [&](int64_t r) { return r >= 0 && r < at.count; }),
               "rows of video '{}' that are not there, or no room for them", video);
  for (const auto& [place, length] : runs_of(rows, static_cast<size_t>(impl_->max_run()))) {
    const auto frames = impl_->read_checked(video, at, rows[place], static_cast<int64_t>(length));
    impl_->to_floats(frames, out.subspan(place * width, length * width));
  }
}

void FeatureStore::read_stored(std::string_view video, std::span<std::byte> out) const {
  const Location& at = impl_->find(video);
  size_t done = 0;
  for (int64_t first = 0; first < at.count; first += impl_->max_run()) {
    const auto count = std::min(impl_->max_run(), at.count - first);
    const auto frames = impl_->read_checked(video, at, first, count);
    std::ranges::copy(frames, out.subspan(done).begin());
    done += frames.size();
  }
  BOVILA_CHECK(done == out.size(), "{} bytes of video '{}', room for {}", done, video, out.size());
}

void FeatureStore::verify(const std::function<void(int64_t)>& progress) const {
  for (const auto& [name, location] : impl_->videos) {
    for (int64_t first = 0; first < location.count; first += impl_->max_run()) {
      const auto count = std::min(impl_->max_run(), location.count - first);
      const auto frames = impl_->read_checked(name, location, first, count);
      if (progress) progress(static_cast<int64_t>(frames.size()));
    }
  }
}

int64_t verify_feature_set(const std::string& folder,
                           const std::function<void(int64_t, int64_t)>& progress) {
  const FeatureIndex index = read_feature_index(folder);
  int64_t hashed = 0, frames = 0, done = 0;
  for (const ShardFile& file : index.files) hashed += file.bytes;
  for (const auto& contents : index.shards) {
    for (const VideoFrames& video : contents) frames += video.num_frames;
  }
  const int64_t element_bytes = index.half ? 2 : 4;
  int64_t total = hashed + frames * kFeatureDim * element_bytes;  // as far as is known here
  const auto advance = [&](int64_t bytes) {
    done += bytes;
    if (progress) progress(done, total);
  };
  for (size_t i = 0; i < index.files.size(); ++i) {
    const std::string path = folder + "/" + shard_name(i);
    if (sha256_of_file(path, advance) != index.files[i].sha256) {
      throw UserError(
          "{} is damaged: its SHA-256 is not the one in manifest.json; convert the "
          "features again",
          path);
    }
  }
  const FeatureStore store(folder);
  total = hashed + frames * store.dim() * element_bytes;
  store.verify(advance);
  return store.num_videos();
}

}  // namespace bovila
