// Why names are missing: each way in which people's names differ, and none where there is no
// reason.
#include "bovila/data/video_names.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace bovila;

namespace {

using Names = std::vector<std::string>;

const Names kVideos = {"0A8CF", "6H78U", "YKB2V"};

Names changed(const std::string& before, const std::string& after) {
  Names out;
  for (const std::string& video : kVideos) out.push_back(before + video + after);
  return out;
}

}  // namespace

TEST_CASE("missing names: an extension or a prefix is found, on either side") {
  CHECK(explain_missing(kVideos, changed("", ".mp4")) ==
        "The features are called NAME.mp4: '0A8CF.mp4' is there for '0A8CF'");
  CHECK(explain_missing(kVideos, changed("charades/", "")) ==
        "The features are called charades/NAME: 'charades/0A8CF' is there for '0A8CF'");
  CHECK(explain_missing(changed("v_", ".avi"), kVideos) ==
        "The annotations say v_NAME.avi: 'v_0A8CF.avi' where the features have '0A8CF'");
}

TEST_CASE("missing names: another case is found, alone and with an extension") {
  CHECK(explain_missing(kVideos, Names{"0a8cf", "6h78u", "ykb2v"}) ==
        "The features' names differ in case: '0a8cf' is there for '0A8CF'");
  CHECK(explain_missing(kVideos, Names{"0a8cf.mp4", "6h78u.mp4", "ykb2v.mp4"}) ==
        "The features are called NAME.mp4: '0a8cf.mp4' is there for '0A8CF'");
}

TEST_CASE("missing names: features of clips, and annotations of clips, are found") {
  CHECK(explain_missing(kVideos, Names{"0A8CF_0_60", "0A8CF_60_120", "6H78U_5_65", "YKB2V_9_69"}) ==
        "The features are those of parts of the videos: '0A8CF_0_60' of '0A8CF'");
  CHECK(explain_missing(Names{"0A8CF_0_60", "6H78U_5_65", "YKB2V_9_69"}, kVideos) ==
        "The annotations name parts of the features' videos: '0A8CF_0_60' of '0A8CF'");
}

TEST_CASE("missing names: numbers are alike only as words, and other names not at all") {
  CHECK(explain_missing(Names{"1", "2"}, Names{"video_1", "video_2"}) ==
        "The features are called video_NAME: 'video_1' is there for '1'");
  CHECK(explain_missing(Names{"1", "2"}, Names{"211", "312"}).empty());
  CHECK(explain_missing(kVideos, Names{"other", "names"}).empty());
  CHECK(explain_missing(kVideos, Names{}).empty());
}

TEST_CASE("missing names: of very many some are looked at") {
  Names videos, features;
  for (int i = 0; i < 1000; ++i) videos.push_back("video" + std::to_string(1000 + i));
  for (const std::string& video : videos) features.push_back(video + ".mkv");
  CHECK(explain_missing(videos, features) ==
        "The features are called NAME.mkv: 'video1000.mkv' is there for 'video1000'");
}

TEST_CASE("a similar name: within another, whatever the case, else by spelling") {
  const Names names = {"val0000", "val0001", "val00010"};
  CHECK(similar_name("val0001.mp4", names) == "val0001");
  CHECK(similar_name("VAL0000", names) == "val0000");
  CHECK(similar_name("vol0000", names) == "val0000");
  CHECK(similar_name("something else", names).empty());
}
