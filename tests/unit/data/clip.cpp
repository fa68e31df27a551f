// Which rows of which video a clip's frames are, and reading them from a real feature set.
#include "bovila/data/clip.h"

#include <cmath>
#include <cstring>

#include "bovila/features/feature_writer.h"
#include "tests/unit/temp_folder.h"

using namespace bovila;

namespace {

using Counts = std::vector<std::optional<int64_t>>;

/// Rows of a clip of one span.
std::vector<int64_t> clip_rows_of(int64_t first, int64_t last, std::optional<int64_t> num_frames,
                                  int64_t max_feats) {
  const std::vector<FrameSpan> clip = {{"v", first, last}};
  std::vector<int64_t> rows;
  for (const FrameChoice& choice : choose_frames(clip, Counts{num_frames}, max_feats)) {
    CHECK(choice.span == 0);
    rows.push_back(choice.row);
  }
  return rows;
}

using Rows = std::vector<int64_t>;

/// A feature set of the videos a (3 frames) and b (8): frame r of video v is full of 10 * v + r
/// + 1.
FeatureStore make_store(const std::string& folder) {
  FeatureSource source{"test", false, {{"a", 3}, {"b", 8}}, {}};
  source.read = [](size_t video, std::span<std::byte> out) {
    for (size_t i = 0; i < out.size() / sizeof(float); ++i) {
      const float value = static_cast<float>(10 * video + i / kFeatureDim + 1);
      std::memcpy(&out[i * sizeof(float)], &value, sizeof(float));
    }
  };
  write_feature_set(folder, source, 2, false, [](int64_t) {});
  return FeatureStore(folder);
}

/// The first value of each of the F rows that read_clip fills.
std::vector<float> frames_of(const FeatureStore& store, const std::vector<FrameSpan>& clip,
                             int64_t max_feats, const ClipRead& expected) {
  std::vector<float> out(static_cast<size_t>(max_feats * kFeatureDim), -1);
  const ClipRead read = read_clip(store, clip, max_feats, out);
  CHECK(read.num_frames == expected.num_frames);
  CHECK(read.num_missing == expected.num_missing);
  std::vector<float> firsts;
  for (int64_t j = 0; j < max_feats; ++j) {
    firsts.push_back(out[j * kFeatureDim]);
    CHECK(out[(j + 1) * kFeatureDim - 1] == firsts.back());
  }
  return firsts;
}

using Firsts = std::vector<float>;

}  // namespace

TEST_CASE("clip: a span is a Python slice of its video") {
  CHECK(clip_rows_of(2, 5, 10, 6) == Rows{2, 3, 4});
  CHECK(clip_rows_of(8, 12, 10, 6) == Rows{8, 9});
  CHECK(clip_rows_of(10, 12, 10, 6).empty());
  CHECK(clip_rows_of(15, 20, 10, 6).empty());
  CHECK(clip_rows_of(0, FrameSpan::kToEnd, 3, 6) == Rows{0, 1, 2});
  CHECK(clip_rows_of(2, FrameSpan::kToEnd, 3, 6) == Rows{2});
  CHECK(clip_rows_of(5, 5, 10, 6).empty());
  CHECK(clip_rows_of(0, 4, 0, 6).empty());
}

TEST_CASE("clip: a longer clip is sampled at rows j * n / F") {
  CHECK(clip_rows_of(10, 17, 100, 6) == Rows{10, 11, 12, 13, 14, 15});
  CHECK(clip_rows_of(0, 13, 13, 5) == Rows{0, 2, 5, 7, 10});
  CHECK(clip_rows_of(0, 6, 6, 6) == Rows{0, 1, 2, 3, 4, 5});
  CHECK(clip_rows_of(0, 100, 100, 1) == Rows{0});
}

TEST_CASE("clip: a missing video is one zero row") {
  CHECK(clip_rows_of(3, 9, std::nullopt, 6) == Rows{FrameChoice::kZeroRow});
}

TEST_CASE("clip: spans are concatenated, with zero rows in the place of missing videos") {
  const std::vector<FrameSpan> scene = {{"a"}, {"b"}, {"c"}, {"d"}};
  const Counts counts = {2, std::nullopt, 0, 3};
  constexpr int64_t kZero = FrameChoice::kZeroRow;
  CHECK(choose_frames(scene, counts, 10) ==
        std::vector<FrameChoice>{{0, 0}, {0, 1}, {1, kZero}, {3, 0}, {3, 1}, {3, 2}});
  CHECK(choose_frames(scene, counts, 4) ==  // rows 0, 1, 3, 4 of 6
        std::vector<FrameChoice>{{0, 0}, {0, 1}, {3, 0}, {3, 1}});
  CHECK(choose_frames(scene, counts, 2) == std::vector<FrameChoice>{{0, 0}, {3, 0}});
}

TEST_CASE("clip: frames are read, zeros stand for missing videos and behind the last frame") {
  const testing::TempFolder folder;
  const FeatureStore store = make_store(folder.path() + "/features");
  CHECK(frames_of(store, {{"a", 1, 9}}, 4, {2, 0}) == Firsts{2, 3, 0, 0});
  CHECK(frames_of(store, {{"b"}}, 3, {3, 0}) == Firsts{11, 13, 16});
  CHECK(frames_of(store, {{"c", 2, 5}}, 2, {1, 1}) == Firsts{0, 0});
  CHECK(frames_of(store, {{"a", 7, 9}}, 2, {0, 0}) == Firsts{0, 0});
  CHECK(frames_of(store, {{"a", 2, 3}, {"c"}, {"b", 6, 8}, {"d"}}, 6, {5, 2}) ==
        Firsts{3, 0, 17, 18, 0, 0});
  std::vector<float> small(kFeatureDim);
  CHECK_THROWS_AS(read_clip(store, {}, 2, small), ProgramError);
}

TEST_CASE("clip: missing videos are named once each, in order") {
  const testing::TempFolder folder;
  const FeatureStore store = make_store(folder.path() + "/features");
  std::vector<Sample> samples(3);
  samples[0].clip = {{"z"}, {"a"}};
  samples[1].clip = {{"c"}, {"z"}};
  samples[2].clip = {{"b"}};
  CHECK(find_missing_videos(store, samples) == std::vector<std::string>{"c", "z"});
  CHECK(find_missing_videos(store, {}).empty());
}

TEST_CASE("clip: no span at all gives no frame, and a wrong call is refused") {
  CHECK(choose_frames({}, {}, 6).empty());
  const std::vector<FrameSpan> clip = {{"v"}};
  CHECK_THROWS_AS(choose_frames(clip, {}, 6), ProgramError);
  CHECK_THROWS_AS(choose_frames(clip, Counts{1}, 0), ProgramError);
}

TEST_CASE("frames are scaled to length 1, zeros stay") {
  std::vector<float> frames(static_cast<size_t>(3 * kFeatureDim), 0.0F);
  std::fill_n(frames.begin(), kFeatureDim, -4.0F);
  frames[static_cast<size_t>(2 * kFeatureDim)] = 1e-20F;
  normalize(frames, kFeatureDim);
  const float each = -1 / std::sqrt(static_cast<float>(kFeatureDim));
  for (int64_t i = 0; i < kFeatureDim; ++i) CHECK(frames[i] == doctest::Approx(each));
  CHECK(frames[static_cast<size_t>(kFeatureDim)] == 0);
  CHECK(frames[static_cast<size_t>(2 * kFeatureDim)] == 1);
}

TEST_CASE("a video is found under its name without the ending of a video file, and no other") {
  const testing::TempFolder folder;
  const FeatureStore store = make_store(folder.path() + "/features");
  Sample sample;
  for (const char* video : {"a.mp4", "b.webm", "a", "a.txt", "c.mp4", "mp4"}) {
    sample.clip.push_back({video, 0, FrameSpan::kToEnd});
  }
  std::vector<Sample> samples = {sample};
  name_as_stored(store, samples);
  std::vector<std::string> names;
  for (const FrameSpan& span : samples[0].clip) names.push_back(span.video);
  CHECK(names == std::vector<std::string>{"a", "b", "a", "a.txt", "c.mp4", "mp4"});
}
