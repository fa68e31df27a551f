// Questions from outside: what a line may hold, and each data set's own words. That the answers are
// those of an evaluation is in tests/cli/answer.sh.
#include "bovila/data/query.h"

#include "bovila/core/hdf5.h"
#include "bovila/features/feature_writer.h"
#include "tests/unit/temp_folder.h"

using namespace bovila;
using testing::contains;
using testing::error_of;
using testing::TempFolder;

namespace {

/// Videos "V1" of 30 frames and "V2" of 2.
struct TwoVideos {
  TwoVideos() {
    const FeatureSource source{"test", true, {{"V1", 30}, {"V2", 2}}, [](size_t, auto out) {
                                 std::ranges::fill(out, std::byte{0});
                               }};
    write_feature_set(folder.path() + "/features", source, 1, false, [](int64_t) {});
  }
  FeatureStore store() const { return FeatureStore(folder.path() + "/features"); }
  TempFolder folder;
};

Query query() {
  Query made;
  made.videos = {"V1"};
  made.question = "what IS it ";
  made.options = {"a", "b"};
  return made;
}

DataConfig data(const char* dataset, bool subtitles = false) {
  DataConfig config;
  config.dataset = dataset;
  config.subtitles = subtitles;
  return config;
}

void check_span(const FrameSpan& span, const char* video, int64_t first, int64_t last) {
  CHECK(span.video == video);
  CHECK(span.first == first);
  CHECK(span.last == last);
}

}  // namespace

TEST_CASE("a question's line may leave out, or set to null, all but its options") {
  Query full, least;
  parse_query(R"({"video": "V1", "question": "q", "options": ["a", "b"], "start": 1, "end": 2.5,
                  "dialogue": "d", "allow_missing": true, "id": {"n": 1}})",
              full);
  CHECK(full.videos == std::vector<std::string>{"V1"});
  CHECK(full.start_s == 1);
  CHECK(full.end_s == 2.5);
  CHECK(full.dialogue == "d");
  CHECK(full.allow_missing);
  CHECK(full.id == R"({"n":1})");
  parse_query(R"({"video": null, "options": ["a"], "start": null, "id": null})", least);
  CHECK(least.videos.empty());
  CHECK_FALSE(least.start_s);
  CHECK_FALSE(least.dialogue);
  CHECK_FALSE(least.allow_missing);
  CHECK(least.id.empty());
}

TEST_CASE("a line that is wrong keeps its id") {
  Query asked;
  parse_query(R"({"id": 7, "videos": "V1"})", asked);
  CHECK(contains(asked.problems.at(0), "unknown key \"videos\", is \"video\" meant?"));
  CHECK(asked.id == "7");
}

TEST_CASE("all that is wrong with a line is said at once, with what is meant") {
  const TwoVideos videos;
  Query asked;
  parse_query(R"({"video": "v1.mp4", "question": "q", "candidates": ["a", "b"], "start": "1"})",
              asked);
  const auto message = error_of([&] { make_sample(asked, data("star"), videos.store()); });
  CHECK(contains(message, "unknown key \"candidates\", is \"options\" meant?"));
  CHECK(contains(message, "\"start\": expected a number of seconds, got string"));
  CHECK(contains(message, "\"options\": expected 2 to 26 texts, got 0"));
  CHECK(contains(message, "video \"v1.mp4\" has no features; is \"V1\" meant?"));
  Query typed;
  parse_query(R"({"video": 7, "question": [], "options": ["a", 3]})", typed);
  CHECK(error_of([&] { make_sample(typed, data("star"), videos.store()); }) ==
        "\"video\": expected a text, got number; \"question\": expected a text, got array; "
        "\"options\": expected a text, got number");
}

TEST_CASE("a line with lists without end in one another is an error, not the end of the stack") {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  Query read;
  CHECK(error_of([&] { parse_query("{\"id\": " + deep + "}", read); }) ==
        "lists or objects more than 64 deep in one another");
}

TEST_CASE("a question is normalised and has the words of its data set") {
  const TwoVideos videos;
  const auto store = videos.store();
  for (const char* dataset : {"star", "dramaqa", "how2qa", "tvqa", "vlep"}) {
    Query asked = query();
    const Sample sample = make_sample(asked, data(dataset), store);
    CHECK(sample.question == "What is it?");
    CHECK(sample.about_dialogue == (dataset[0] == 't' || dataset[0] == 'v'));
    CHECK_FALSE(sample.dialogue);
    check_span(sample.clip.at(0), "V1", 0, FrameSpan::kToEnd);
  }
}

TEST_CASE("VLEP's question need not be asked") {
  const TwoVideos videos;
  const auto store = videos.store();
  Query asked = query();
  asked.question = " ";
  CHECK(make_sample(asked, data("vlep"), store).question ==
        "Which event is more likely to happen right after?");
  asked.question = " ";
  CHECK(error_of([&] { make_sample(asked, data("star"), store); }) ==
        "\"question\" is missing or blank");
}

TEST_CASE("a clip's seconds are rows at the data set's frame rate") {
  const TwoVideos videos;
  const auto store = videos.store();
  Query asked = query();
  asked.start_s = 2.5;
  asked.end_s = 7.5;
  check_span(make_sample(asked, data("star"), store).clip.at(0), "V1", 2, 9);
  check_span(make_sample(asked, data("tvqa"), store).clip.at(0), "V1", 6, 27);
  asked.start_s = 10;
  asked.end_s = 11;
  check_span(make_sample(asked, data("star"), store).clip.at(0), "V1", 10, 12);
  CHECK(contains(error_of([&] { make_sample(asked, data("tvqa"), store); }),
                 "the clip starts at 10 s, video \"V1\" has 30 frames, 3 a second"));
  asked.videos = {"V1", "V2"};
  CHECK(contains(error_of([&] { make_sample(asked, data("star"), store); }), "times in one video"));
}

TEST_CASE("of several videos some may lack their features where the question allows it") {
  const TwoVideos videos;
  const auto store = videos.store();
  Query asked = query();
  asked.videos = {"V0", "V2"};
  CHECK(error_of([&] { make_sample(asked, data("dramaqa"), store); }) ==
        "video \"V0\" has no features; is \"V1\" meant? (1 of the 2 videos; with "
        "\"allow_missing\": true, or --allow-missing, zeros stand for such)");
  asked = query();
  asked.videos = {"V0", "V2"};
  asked.allow_missing = true;
  const Sample sample = make_sample(asked, data("dramaqa"), store);
  CHECK(sample.clip.size() == 2);
  CHECK(sample.video_id == "V0 V2");
  CHECK(asked.missing == std::vector<std::string>{"V0"});
  asked.missing.clear();
  asked.videos = {"V0", "V9"};
  CHECK(contains(error_of([&] { make_sample(asked, data("dramaqa"), store); }),
                 "video \"V0\" has no features; is \"V1\" meant?"));
}

TEST_CASE("a dialogue reads as the data set's own, and needs a model that was trained with them") {
  const TwoVideos videos;
  const auto store = videos.store();
  Query asked = query();
  CHECK(make_sample(asked, data("vlep", true), store).dialogue == "");
  CHECK_FALSE(make_sample(asked, data("tvqa", true), store).dialogue);
  asked.dialogue = "- Hi.\n- Ho.";
  CHECK(make_sample(asked, data("vlep", true), store).dialogue == " Hi.\n Ho.");
  CHECK(make_sample(asked, data("tvqa", true), store).dialogue == " - Hi. - Ho.");
  CHECK(contains(error_of([&] { make_sample(asked, data("vlep"), store); }),
                 "data.subtitles of the deck is false"));
}

TEST_CASE("the features of one video can be a file, and the video need not be named") {
  const TempFolder folder;
  const std::string path = folder.path() + "/holiday.h5", narrow = folder.path() + "/narrow.h5";
  const std::vector<float> values(2 * kFeatureDim, 0.5F);
  const auto write = [&](const std::string& name, int64_t rows, int64_t columns) {
    const auto file = hdf5::create_file(name);
    hdf5::write(file.get(), "frames", hdf5::Type::kFloat32, std::vector{rows, columns},
                std::as_bytes(std::span(values)));
  };
  write(path, 2, kFeatureDim);
  const auto store = FeatureStore::of_one_video(path);
  Query asked = query();
  asked.videos.clear();
  check_span(make_sample(asked, data("star"), store).clip.at(0), "holiday", 0, FrameSpan::kToEnd);
  CHECK(asked.videos == std::vector<std::string>{"holiday"});
  std::vector<float> row(kFeatureDim);
  store.read("holiday", std::vector<int64_t>{1}, row);
  CHECK(row == std::vector<float>(kFeatureDim, 0.5F));
  write(narrow, 4, kFeatureDim / 2);
  CHECK(contains(error_of([&] { FeatureStore::of_one_video(narrow); }),
                 "expected /frames of shape [frames, 768]"));
}

TEST_CASE("a part of a feature set is not the features of one video") {
  const TwoVideos videos;
  const std::string shard = videos.folder.path() + "/features/shard-00000.h5";
  CHECK(error_of([&] { FeatureStore::of_one_video(shard); }) ==
        shard + " is a part of the feature set " + videos.folder.path() +
            "/features, with frames of any of its videos: name the folder");
}

TEST_CASE("with several videos one has to be named") {
  const TwoVideos videos;
  Query asked = query();
  asked.videos.clear();
  CHECK(contains(error_of([&] { make_sample(asked, data("star"), videos.store()); }),
                 "\"video\" is missing: the features are those of 2 videos"));
}
