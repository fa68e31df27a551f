// What a file claims to hold is compared with its size before memory is taken for it.
#include "bovila/features/hdf5_source.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>

#include "bovila/core/error.h"
#include "bovila/core/hash.h"
#include "bovila/core/hdf5.h"
#include "bovila/features/feature_store.h"

namespace bovila {
namespace {

constexpr int64_t kMaxGrowth = 128;  // of a file's bytes to floats: more than features compress
constexpr int64_t kValuesOfAny = 64 * kFeatureDim;  // in a file of any size

struct Hdf5Video {
  std::string path;
  int64_t num_frames = 0;
  int64_t dim = 0;
  bool half = false;
};

/// `dim`: the width of the first video's frames; 0: this is the first.
Hdf5Video describe_video(const std::string& file, const hdf5::Handle& handle,
                         const std::string& path, int64_t dim) {
  const auto info = hdf5::describe(handle.get(), path);
  const bool is_float = info.type == hdf5::Type::kFloat16 || info.type == hdf5::Type::kBFloat16 ||
                        info.type == hdf5::Type::kFloat32 || info.type == hdf5::Type::kFloat64;
  const bool has_width = info.shape.size() == 2 && info.shape[1] > 0 &&
                         info.shape[1] <= kMaxFeatureDim && (dim == 0 || info.shape[1] == dim);
  if (!is_float || !has_width) {
    throw UserError("{}: '{}' has {} of shape [{}], expected a video's frames [frames, {}]", file,
                    path, is_float ? "floating point" : "whole numbers",
                    fmt::join(info.shape, ", "), dim == 0 ? "width" : std::to_string(dim));
  }
  return {path, info.shape[0], info.shape[1], info.type == hdf5::Type::kFloat16};
}

/// The last name that all paths have in common, with its slash; "" when there is none.
std::string common_leaf(const std::vector<std::string>& paths) {
  if (paths.size() < 2) return "";
  const size_t slash = paths.front().rfind('/');
  if (slash == std::string::npos) return "";
  std::string leaf = paths.front().substr(slash);
  const auto has_it = [&](const std::string& path) { return path.ends_with(leaf); };
  return std::ranges::all_of(paths, has_it) ? leaf : "";
}

}  // namespace

bool is_hdf5_file(const std::string& path) {
  constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
  std::string start(kSignature.size(), '\0');
  std::ifstream in(path, std::ios::binary);
  return in.read(start.data(), std::ssize(start)) && start == kSignature;
}

FeatureSource hdf5_source(const std::string& path) {
  const auto file = std::make_shared<hdf5::Handle>(hdf5::open_file(path));
  const std::vector<std::string> paths = hdf5::list_datasets(file->get());
  const std::string leaf = common_leaf(paths);
  const auto videos = std::make_shared<std::vector<Hdf5Video>>();
  FeatureSource source;
  std::vector<std::string> empty;
  const auto file_bytes = static_cast<int64_t>(std::filesystem::file_size(path));
  int64_t values_left = file_bytes * kMaxGrowth / int64_t{sizeof(float)} + kValuesOfAny;
  int64_t dim = 0;
  for (const std::string& dataset : paths) {
    const Hdf5Video video = describe_video(path, *file, dataset, dim);
    dim = video.dim;
    const std::string name = dataset.substr(0, dataset.size() - leaf.size());
    if (video.num_frames > values_left / dim) {
      throw UserError("{}: '{}' says that it has {} frames, more than a file of {} bytes can hold",
                      path, dataset, video.num_frames, file_bytes);
    }
    values_left -= video.num_frames * dim;
    if (video.num_frames == 0) {
      empty.push_back(name);
      continue;
    }
    videos->push_back(video);
    source.videos.push_back({name, video.num_frames});
  }
  note_left_out(source, empty, path);
  source.dim = dim;
  source.half = std::ranges::all_of(*videos, &Hdf5Video::half);
  source.identity = sha256_of_file(path);
  source.read = [=, half = source.half](size_t number, std::span<std::byte> out) {
    const Hdf5Video& video = (*videos)[number];
    const auto type = half ? hdf5::Type::kFloat16 : hdf5::Type::kFloat32;
    hdf5::read(file->get(), video.path, type, out);
    require_finite_frames(out, half, fmt::format("{}: '{}'", path, video.path));
  };
  return source;
}

}  // namespace bovila
