// Reading a tensor that has its storage to itself verifies the file's checksum; storages that
// several share are verified once each.
#include "bovila/features/pth_source.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <set>

#include "bovila/core/error.h"
#include "bovila/core/float16.h"
#include "bovila/files/pth.h"

namespace bovila {
namespace {

/// `dim`: the width of the first video's frames.
void check_video(const PthFile& file, const PthTensor& video, int64_t dim) {
  if (!is_floating_point(video.type)) {
    throw UserError("{}: video '{}' has elements of type {}, features are floating point",
                    file.path(), video.name, name_of(video.type));
  }
  if (video.shape.size() != 2 || video.shape[1] != dim || dim < 1 || dim > kMaxFeatureDim) {
    throw UserError(
        "{}: video '{}' has shape [{}], features are [frames, width], all of the width of the "
        "first video's",
        file.path(), video.name, fmt::join(video.shape, ", "));
  }
}

/// Gives videos the set's element type.
class PthVideos {
 public:
  explicit PthVideos(const std::string& path) : file_(path), videos_(file_.tensors()) {}

  FeatureSource describe() {
    FeatureSource source;
    std::vector<std::string> empty;
    if (!videos_.empty() && videos_.front().shape.size() == 2) source.dim = videos_[0].shape[1];
    for (const PthTensor& video : videos_) {
      check_video(file_, video, source.dim);
      if (video.shape[0] == 0) empty.push_back(video.name);
    }
    std::erase_if(videos_, [](const PthTensor& video) { return video.shape[0] == 0; });
    half_ = source.half = std::ranges::all_of(
        videos_, [](const PthTensor& video) { return video.type == ElementType::kFloat16; });
    for (const PthTensor& video : videos_) source.videos.push_back({video.name, video.shape[0]});
    source.identity = file_.identity();
    note_left_out(source, empty, file_.path());
    return source;
  }

  /// @throws UserError for a value that is not finite.
  void read(size_t number, std::span<std::byte> out) {
    if (!is_verified_) verify_shared_storages();
    const PthTensor& video = videos_[number];
    if (half_ || video.type == ElementType::kFloat32) {
      file_.read(video, out);
    } else {
      raw_.resize(static_cast<size_t>(video.num_bytes()));
      file_.read(video, raw_);
      convert(video, {reinterpret_cast<float*>(out.data()), out.size() / sizeof(float)});
    }
    require_finite_frames(out, half_, fmt::format("{}: video '{}'", file_.path(), video.name));
  }

 private:
  void convert(const PthTensor& video, std::span<float> out) {
    const auto halves = [&] {
      return std::span(reinterpret_cast<const uint16_t*>(raw_.data()), out.size());
    };
    switch (video.type) {
      case ElementType::kFloat16:
        return halves_to_floats(halves(), out);
      case ElementType::kBFloat16:
        return bfloat16s_to_floats(halves(), out);
      default:
        return doubles_to_floats({reinterpret_cast<const double*>(raw_.data()), out.size()}, out);
    }
  }

  void verify_shared_storages() {
    std::set<std::string> verified;
    for (const PthTensor& video : videos_) {
      if (file_.spans_storage(video) || !verified.insert(video.storage).second) continue;
      file_.verify_storage(video);
    }
    is_verified_ = true;
  }

  PthFile file_;
  std::vector<PthTensor> videos_;
  bool half_ = true;
  bool is_verified_ = false;
  std::vector<std::byte> raw_;
};

}  // namespace

FeatureSource pth_source(const std::string& path) {
  const auto videos = std::make_shared<PthVideos>(path);
  FeatureSource source = videos->describe();
  source.read = [videos](size_t number, std::span<std::byte> out) { videos->read(number, out); };
  return source;
}

}  // namespace bovila
