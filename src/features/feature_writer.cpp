// Shard by shard, video by video, into a temporary folder that takes the set's place at the end.
#include "bovila/features/feature_writer.h"

#include <algorithm>
#include <numeric>

#include "bovila/core/counted.h"
#include "bovila/core/durable_file.h"
#include "bovila/core/error.h"
#include "bovila/core/float16.h"
#include "bovila/core/hash.h"
#include "bovila/core/hdf5.h"
#include "bovila/core/output_place.h"
#include "bovila/features/feature_store.h"
#include "src/features/feature_index.h"

namespace bovila {
namespace {

namespace fs = std::filesystem;

void write_shard(const fs::path& path, const FeatureSource& source, std::span<const size_t> videos,
                 const std::function<void(int64_t)>& progress) {
  int64_t rows = 0;
  for (const size_t video : videos) rows += source.videos[video].num_frames;
  const auto type = source.half ? hdf5::Type::kFloat16 : hdf5::Type::kFloat32;
  const size_t frame_bytes = static_cast<size_t>(kFeatureDim) * hdf5::size_of(type);
  const auto file = hdf5::create_file(path.string());
  hdf5::create_dataset(file.get(), "frames", type, std::vector<int64_t>{rows, kFeatureDim});
  std::vector<uint64_t> checksums;
  int64_t first = 0;
  for (const size_t video : videos) {
    const int64_t count = source.videos[video].num_frames;
    std::vector<std::byte> frames(static_cast<size_t>(count) * frame_bytes);
    source.read(video, frames);
    hdf5::write_rows(file.get(), "frames", type, first, count, frames);
    for (size_t at = 0; at < frames.size(); at += frame_bytes) {
      checksums.push_back(crc32(std::span(frames).subspan(at, frame_bytes)));
    }
    first += count;
    progress(static_cast<int64_t>(frames.size()));
  }
  hdf5::write(file.get(), "checksums", hdf5::Type::kUInt64, std::vector<int64_t>{rows},
              std::as_bytes(std::span(checksums)));
  hdf5::flush(file);
}

bool is_of_a_set(const fs::path& file) {
  const std::string name = file.filename().string();
  return name == "index.json" || name == "manifest.json" ||
         (name.starts_with("shard-") && name.ends_with(".h5"));
}

void make_folders_to(const fs::path& folder) {
  std::error_code reason;
  fs::create_directories(folder.parent_path(), reason);
  if (reason) throw ProgramError("{}: {}", folder.parent_path().string(), reason.message());
}

}  // namespace

void note_left_out(FeatureSource& source, const std::vector<std::string>& empty,
                   const std::string& path) {
  if (source.videos.empty()) {
    throw UserError("{}: there are no videos in it{}", path,
                    empty.empty() ? "" : " that have frames: " + first_names(empty));
  }
  if (empty.empty()) return;
  source.notes.push_back(
      fmt::format("{} no frames and {} left out: {}",
                  empty.size() == 1 ? "1 video has" : fmt::format("{} videos have", empty.size()),
                  empty.size() == 1 ? "is" : "are", first_names(empty)));
}

void require_finite_frames(std::span<const std::byte> frames, bool half, const std::string& what) {
  const bool finite =
      half
          ? all_finite_halves({reinterpret_cast<const uint16_t*>(frames.data()), frames.size() / 2})
          : all_finite_floats({reinterpret_cast<const float*>(frames.data()), frames.size() / 4});
  if (finite) return;
  throw UserError("{} has a value that is not finite (infinite or NaN); extract its features again",
                  what);
}

std::vector<std::vector<size_t>> balance_shards(std::span<const VideoFrames> videos,
                                                int64_t num_shards) {
  const size_t count =
      std::clamp<size_t>(static_cast<size_t>(num_shards), 1, std::max<size_t>(videos.size(), 1));
  std::vector<size_t> by_size(videos.size());
  std::iota(by_size.begin(), by_size.end(), size_t{0});
  std::ranges::stable_sort(by_size, std::ranges::greater(),
                           [&](size_t video) { return videos[video].num_frames; });
  std::vector<std::vector<size_t>> shards(count);
  std::vector<int64_t> frames(count);
  for (const size_t video : by_size) {  // the largest that is left into the lightest shard
    const auto lightest = static_cast<size_t>(std::ranges::min_element(frames) - frames.begin());
    shards[lightest].push_back(video);
    frames[lightest] += videos[video].num_frames;
  }
  for (auto& shard : shards) std::ranges::sort(shard);
  return shards;
}

const Product& feature_set_product() {
  static const Product product{"a feature set", "index.json", is_of_a_set};
  return product;
}

void write_feature_set(const fs::path& target, const FeatureSource& source, int64_t num_shards,
                       bool replace, const std::function<void(int64_t)>& progress) {
  const auto place = [&] { return output_place(target, feature_set_product(), replace).path; };
  const fs::path folder = place();
  make_folders_to(folder);
  remove_leftovers(folder);
  TempFolder temporary(folder);
  FeatureIndex index{source.half, source.identity, {}, {}};
  for (const auto& videos : balance_shards(source.videos, num_shards)) {
    const fs::path path = temporary.path() / shard_name(index.shards.size());
    write_shard(path, source, videos, progress);
    index.files.push_back(
        {static_cast<int64_t>(fs::file_size(path)), sha256_of_file(path.string())});
    index.shards.emplace_back();
    for (const size_t video : videos) index.shards.back().push_back(source.videos[video]);
  }
  write_feature_index(temporary.path(), index);
  try {
    temporary.commit(replace);
  } catch (const ProgramError&) {
    place();  // says it better when another conversion was quicker
    throw;
  }
}

}  // namespace bovila
