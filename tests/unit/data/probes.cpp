// What eval.video shows, and turned options.
#include "bovila/data/probes.h"

#include <doctest/doctest.h>

#include <cstring>
#include <set>

#include "bovila/core/error.h"
#include "bovila/features/feature_writer.h"
#include "tests/unit/temp_folder.h"

using namespace bovila;

namespace {

/// Frame r of video a is full of r + 1, of b of 101 + r, of c of 201 + r.
FeatureStore three_videos(const std::string& folder) {
  FeatureSource source{"test", false, {{"a", 9}, {"b", 9}, {"c", 9}}, {}};
  source.read = [](size_t video, std::span<std::byte> out) {
    for (size_t i = 0; i < out.size() / sizeof(float); ++i) {
      const auto value = static_cast<float>(100 * video + i / kFeatureDim + 1);
      std::memcpy(&out[i * sizeof(float)], &value, sizeof(float));
    }
  };
  write_feature_set(folder, source, 1, false, [](int64_t) {});
  return FeatureStore(folder);
}

Sample about(const std::string& id, const std::vector<FrameSpan>& clip) {
  Sample sample;
  sample.question_id = id;
  sample.clip = clip;
  return sample;
}

Config showing(VideoShown video, int64_t max_feats = 6, int64_t seed = 0) {
  Config config;
  config.model.max_feats = max_feats;
  config.eval.video = video;
  config.train.seed = seed;
  return config;
}

/// The first value of each frame that is read.
std::vector<float> values_of(const FeatureStore& store, const ShownFrames& shown, int64_t number) {
  std::vector<float> out(static_cast<size_t>(number * store.dim()), -1);
  read_frames(store, shown.clip, shown.frames, out);
  std::vector<float> firsts;
  for (int64_t i = 0; i < number; ++i) firsts.push_back(out[static_cast<size_t>(i * store.dim())]);
  return firsts;
}

}  // namespace

TEST_CASE("probes: the video, none, and its frames in an order of the seed and the question") {
  const testing::TempFolder folder;
  const FeatureStore store = three_videos(folder.path() + "/features");
  const std::vector<Sample> samples = {about("q0", {{"a", 2, 4}, {"lost"}, {"b"}}),
                                       about("q1", {{"a", 2, 4}, {"lost"}, {"b"}})};
  const auto values = [&](const Config& config, int64_t row = 0) {
    return values_of(store, shown_frames(store, samples, row, config), config.model.max_feats);
  };
  const std::vector<float> all = {3, 4, 0, 101, 102, 103, 104, 105, 106, 107, 108, 109};
  CHECK(values(showing(VideoShown::kTrue, 12)) == all);
  CHECK(values(showing(VideoShown::kTrue, 4)) == std::vector<float>{3, 101, 104, 107});
  CHECK(values(showing(VideoShown::kNone, 3)) == std::vector<float>{0, 0, 0});
  const auto shuffled = values(showing(VideoShown::kShuffled, 12));
  CHECK(shuffled != all);
  CHECK(std::multiset(shuffled.begin(), shuffled.end()) == std::multiset(all.begin(), all.end()));
  CHECK(values(showing(VideoShown::kShuffled, 12)) == shuffled);
  CHECK(values(showing(VideoShown::kShuffled, 12), 1) != shuffled);
  CHECK(values(showing(VideoShown::kShuffled, 12, /*seed=*/1)) != shuffled);
  // Behind the last frame are zeros, as ever.
  CHECK(values(showing(VideoShown::kShuffled, 14)).at(13) == 0);
}

TEST_CASE("probes: another video is one that the question has nothing of, drawn anew for each") {
  const testing::TempFolder folder;
  const FeatureStore store = three_videos(folder.path() + "/features");
  std::vector<Sample> samples;
  for (int i = 0; i < 60; ++i) {
    samples.push_back(about("q" + std::to_string(i), {{i % 3 == 0   ? "a"
                                                       : i % 3 == 1 ? "b"
                                                                    : "c"}}));
  }
  samples.push_back(about("both", {{"a"}, {"b"}}));
  std::set<float> seen_with_a;
  for (int64_t row = 0; row < std::ssize(samples); ++row) {
    const auto shown = shown_frames(store, samples, row, showing(VideoShown::kOther));
    for (const FrameSpan& span : shown.clip) {
      for (const FrameSpan& own : samples[static_cast<size_t>(row)].clip) {
        CHECK(span.video != own.video);
      }
    }
    if (row % 3 == 0 && row < 60) seen_with_a.insert(values_of(store, shown, 6).front());
    const auto again = shown_frames(store, samples, row, showing(VideoShown::kOther));
    CHECK(again.clip.data() == shown.clip.data());
    CHECK(again.frames == shown.frames);
  }
  CHECK(seen_with_a == std::set<float>{101, 201});
  samples.resize(1);
  CHECK_THROWS_WITH_AS(shown_frames(store, samples, 0, showing(VideoShown::kOther)),
                       doctest::Contains("is about a video of question 'q0'"), UserError);
}

TEST_CASE("probes: turned options move towards A, whatever their order was") {
  Sample sample;
  sample.options = {"one", "two", "three"};
  CHECK(turned(sample, 0).order == std::vector<int>{0, 1, 2});
  CHECK(turned(sample, 1).order == std::vector<int>{1, 2, 0});
  CHECK(turned(turned(sample, 1), 1).order == turned(sample, 2).order);
  sample.order = {2, 0, 1};
  CHECK(turned(sample, 1).order == std::vector<int>{0, 1, 2});
  CHECK(turned(sample, 2).place_of(1) == 0);
}
