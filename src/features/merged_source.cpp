// Where two sources have a video of one name, both are read before anything is written.
#include "bovila/features/merged_source.h"

#include <algorithm>
#include <map>
#include <memory>

#include "bovila/core/error.h"
#include "bovila/core/float16.h"
#include "bovila/core/hash.h"

namespace bovila {
namespace {

/// A video of one of several sources.
struct SourceVideo {
  size_t source = 0, number = 0;
};

class MergedVideos {
 public:
  MergedVideos(std::vector<FeatureSource> sources, std::vector<std::string> paths)
      : sources_(std::move(sources)), paths_(std::move(paths)) {
    half_ = std::ranges::all_of(sources_, &FeatureSource::half);
  }

  FeatureSource describe() {
    FeatureSource merged;
    merged.half = half_;
    merged.dim = sources_.front().dim;
    std::string identity;
    for (size_t source = 0; source < sources_.size(); ++source) {
      require_width(source);
      for (size_t number = 0; number < sources_[source].videos.size(); ++number) {
        if (add({source, number})) merged.videos.push_back(sources_[source].videos[number]);
      }
      identity += sources_[source].identity + "\n";
      std::ranges::copy(sources_[source].notes, std::back_inserter(merged.notes));
    }
    merged.identity = sources_.size() == 1 ? sources_.front().identity : sha256_of(identity);
    return merged;
  }

  void read(size_t number, std::span<std::byte> out) { read(videos_[number], out); }

 private:
  void require_width(size_t source) const {
    if (sources_[source].dim == sources_.front().dim) return;
    throw UserError("{}: its frames have {} numbers, those of {} {}: a set is of one encoder",
                    paths_[source], sources_[source].dim, paths_.front(), sources_.front().dim);
  }

  /// False for a video that is there already.
  bool add(SourceVideo video) {
    const VideoFrames& frames = frames_of(video);
    const auto [place, is_new] = places_.emplace(frames.name, video);
    if (is_new) {
      videos_.push_back(video);
    } else if (!is_same(place->second, video)) {
      throw UserError(
          "video '{}' has other frames in {} than in {}: rename it in one of them, and in its "
          "annotations",
          frames.name, paths_[video.source], paths_[place->second.source]);
    }
    return is_new;
  }

  bool is_same(SourceVideo one, SourceVideo other) {
    if (frames_of(one).num_frames != frames_of(other).num_frames) return false;
    return all_bytes(one) == all_bytes(other);
  }

  std::vector<std::byte> all_bytes(SourceVideo video) {
    std::vector<std::byte> bytes(num_values(video) * (half_ ? sizeof(uint16_t) : sizeof(float)));
    read(video, bytes);
    return bytes;
  }

  void read(SourceVideo video, std::span<std::byte> out) {
    const FeatureSource& source = sources_[video.source];
    if (source.half == half_) return source.read(video.number, out);
    std::vector<uint16_t> halves(num_values(video));
    source.read(video.number, std::as_writable_bytes(std::span(halves)));
    halves_to_floats(halves, {reinterpret_cast<float*>(out.data()), halves.size()});
  }

  const VideoFrames& frames_of(SourceVideo video) const {
    return sources_[video.source].videos[video.number];
  }
  size_t num_values(SourceVideo video) const {
    return static_cast<size_t>(frames_of(video).num_frames * sources_.front().dim);
  }

  std::vector<FeatureSource> sources_;
  std::vector<std::string> paths_;
  bool half_ = true;
  std::vector<SourceVideo> videos_;
  std::map<std::string, SourceVideo, std::less<>> places_;
};

}  // namespace

FeatureSource set_source(const std::string& folder) {
  const auto store = std::make_shared<FeatureStore>(folder);
  FeatureSource source;
  source.identity = store->source();
  source.half = store->is_half();
  source.dim = store->dim();
  for (std::string& name : store->names()) {
    const int64_t num_frames = *store->num_frames(name);
    source.videos.push_back({std::move(name), num_frames});
  }
  source.read = [store, videos = source.videos](size_t number, std::span<std::byte> out) {
    store->read_stored(videos[number].name, out);
  };
  return source;
}

FeatureSource merged_source(std::vector<FeatureSource> sources,
                            const std::vector<std::string>& paths) {
  const auto videos = std::make_shared<MergedVideos>(std::move(sources), paths);
  FeatureSource merged = videos->describe();
  merged.read = [videos](size_t number, std::span<std::byte> out) { videos->read(number, out); };
  return merged;
}

}  // namespace bovila
