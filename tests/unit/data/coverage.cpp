// What a split lacks, when that is an error, and with which reason.
#include "bovila/data/coverage.h"

#include "bovila/features/feature_writer.h"
#include "tests/unit/temp_folder.h"

using namespace bovila;
using testing::contains;
using testing::error_of;
using testing::TempFolder;

namespace {

/// "a.mp4", "b.mp4" and "c" of 3 frames each.
struct ThreeVideos {
  ThreeVideos() {
    const FeatureSource source{
        "test", true, {{"a.mp4", 3}, {"b.mp4", 3}, {"c", 3}}, [](size_t, auto out) {
          std::ranges::fill(out, std::byte{0});
        }};
    write_feature_set(folder.path() + "/features", source, 1, false, [](int64_t) {});
  }
  FeatureStore store() const { return FeatureStore(folder.path() + "/features"); }
  TempFolder folder;
};

Sample about(const std::string& video, int64_t first = 0) {
  Sample sample;
  sample.question_id = "about " + video;
  sample.clip = {{video, first, FrameSpan::kToEnd}};
  return sample;
}

std::string error_with(const std::vector<Sample>& samples, double max_missing) {
  const ThreeVideos videos;
  const auto store = videos.store();
  const auto coverage = measure_coverage("val", samples, &store, false);
  return error_of([&] { require_features(coverage, store, max_missing, "FEATURES"); });
}

}  // namespace

TEST_CASE("coverage: videos without features are counted once each, and named") {
  const ThreeVideos videos;
  const auto store = videos.store();
  const std::vector<Sample> samples = {about("c"), about("a"), about("a"), about("c", 2)};
  const auto coverage = measure_coverage("val", samples, &store, false);
  CHECK(coverage.num_videos == 2);
  CHECK(coverage.missing == std::vector<std::string>{"a"});
  CHECK(gaps_text(coverage) ==
        std::vector<std::string>{"1 video has no features, zeros stand for it: a"});
  CHECK(measure_coverage("val", samples, nullptr, false).missing.empty());
}

TEST_CASE("coverage: more missing videos than data.max_missing are an error with the reason") {
  const std::vector<Sample> two_of_three = {about("a"), about("b"), about("c")};
  const std::string message = error_with(two_of_three, 0.5);
  CHECK(contains(message, "2 of 3 videos of the split 'val' have no features in FEATURES (a, b)."));
  CHECK(contains(message, "The features are called NAME.mp4: 'a.mp4' is there for 'a'."));
  CHECK(contains(message, "data.max_missing = 1"));
  CHECK(error_with(two_of_three, 0.7).empty());
  CHECK(error_with({about("x"), about("c")}, 0.5).empty());
  CHECK(contains(error_with({about("xyz")}, 0.5), "It has others (a.mp4, b.mp4, c)."));
  CHECK(error_with({about("xyz")}, 1).empty());
}

TEST_CASE("coverage: clips behind their videos' ends are counted, and most of them are an error") {
  const ThreeVideos videos;
  const auto store = videos.store();
  const std::vector<Sample> samples = {about("c", 3), about("c", 7), about("c", 2)};
  CHECK(gaps_text(measure_coverage("val", samples, &store, false)) ==
        std::vector<std::string>{"2 clips begin behind the last frame of their videos, zeros stand "
                                 "for them: question about c the first"});
  CHECK(contains(error_with(samples, 0.5), "fewer frames a second than the data set's"));
  CHECK(error_with(samples, 0.7).empty());
}

TEST_CASE("coverage: questions without any dialogue are counted where there are subtitles") {
  std::vector<Sample> samples = {about("c"), about("c"), about("c")};
  samples[0].dialogue = " \n";
  samples[1].dialogue = "Hello";
  CHECK(measure_coverage("val", samples, nullptr, false).num_without_dialogue == 0);
  CHECK(gaps_text(measure_coverage("val", samples, nullptr, true)) ==
        std::vector<std::string>{"2 of 3 questions without any dialogue in the clip"});
}
