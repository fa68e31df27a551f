// Several sources of features as one: what is taken once, what is refused, sets among them.
#include "bovila/features/merged_source.h"

#include <cstring>

#include "bovila/features/feature_store.h"
#include "tests/unit/temp_folder.h"

using namespace bovila;
using testing::contains;
using testing::error_of;
using testing::TempFolder;

namespace {

constexpr int64_t kMergedWidth = 4;
constexpr uint16_t kHalfOfOne = 0x3800;

/// Videos of so many frames each, all of whose numbers are 0.5.
FeatureSource frames_of_half(const std::vector<VideoFrames>& videos, bool half,
                             int64_t dim = kMergedWidth) {
  FeatureSource source;
  source.identity = fmt::format("source of {}", videos.front().name);
  source.half = half;
  source.videos = videos;
  source.dim = dim;
  source.read = [half](size_t, std::span<std::byte> out) {
    const float value = 0.5F;
    const std::byte* one = reinterpret_cast<const std::byte*>(&value);
    const size_t size = half ? sizeof(kHalfOfOne) : sizeof(value);
    if (half) one = reinterpret_cast<const std::byte*>(&kHalfOfOne);
    for (size_t i = 0; i < out.size(); i += size) std::memcpy(out.data() + i, one, size);
  };
  return source;
}

std::vector<std::string> merged_names(const FeatureSource& source) {
  std::vector<std::string> names;
  for (const VideoFrames& video : source.videos) names.push_back(video.name);
  return names;
}

void write_merged(const std::string& folder, const FeatureSource& source) {
  write_feature_set(folder, source, 2, false, [](int64_t) {});
}

}  // namespace

TEST_CASE("two sources are one set; a video of both is there once; halves become floats") {
  const auto half = frames_of_half({{"a", 2}, {"b", 3}}, true);
  const auto floats = frames_of_half({{"b", 3}, {"c", 1}}, false);
  const auto merged = merged_source({half, floats}, {"A", "B"});
  CHECK(merged_names(merged) == std::vector<std::string>{"a", "b", "c"});
  CHECK_FALSE(merged.half);
  CHECK(merged.identity != half.identity);
  const TempFolder folder;
  write_merged(folder.path() + "/set", merged);
  const FeatureStore store(folder.path() + "/set");
  CHECK(store.num_videos() == 3);
  for (const char* name : {"a", "b", "c"}) {
    std::vector<float> row(kMergedWidth);
    store.read(name, std::vector<int64_t>{0}, row);
    CHECK(row == std::vector<float>(kMergedWidth, 0.5F));
  }
  CHECK(merged_source({half, frames_of_half({{"c", 1}}, true)}, {"A", "B"}).half);
}

TEST_CASE("one source alone stays what it is") {
  const auto merged = merged_source({frames_of_half({{"a", 2}}, true)}, {"A"});
  CHECK(merged.identity == "source of a");
  CHECK(merged.half);
}

TEST_CASE("a set is a source of its own videos, and can be written again in other shards") {
  const TempFolder folder;
  for (const bool half : {true, false}) {
    const std::string first = fmt::format("{}/first{}", folder.path(), half);
    const std::string again = fmt::format("{}/again{}", folder.path(), half);
    write_merged(first, frames_of_half({{"a", 2}, {"b", 3000}}, half));
    const FeatureSource source = set_source(first);
    CHECK(source.half == half);
    CHECK(source.dim == kMergedWidth);
    write_feature_set(again, source, 1, false, [](int64_t) {});
    const FeatureStore store(again);
    CHECK(store.num_shards() == 1);
    CHECK(store.is_half() == half);
    CHECK(store.source() == "source of a");
    CHECK(store.num_frames("b") == 3000);
    CHECK(verify_feature_set(again) == 2);
  }
  CHECK(contains(error_of([&] { set_source(folder.path()); }), "manifest.json cannot be read"));
}

TEST_CASE("two videos of one name with different frames, and two widths, are refused") {
  const auto one = frames_of_half({{"a", 2}, {"b", 3}}, true);
  const std::string said = "video 'b' has other frames in B than in A: rename it in one of them";
  CHECK(contains(error_of([&] {
                   merged_source({one, frames_of_half({{"b", 4}}, true)}, {"A", "B"});
                 }),
                 said));
  auto other = frames_of_half({{"b", 3}}, true);
  other.read = [](size_t, std::span<std::byte> out) { std::ranges::fill(out, std::byte{0}); };
  CHECK(contains(error_of([&] { merged_source({one, other}, {"A", "B"}); }), said));
  CHECK(contains(error_of([&] {
                   merged_source({one, frames_of_half({{"c", 1}}, true, 5)}, {"A", "B"});
                 }),
                 "B: its frames have 5 numbers, those of A 4: a set is of one encoder"));
}
