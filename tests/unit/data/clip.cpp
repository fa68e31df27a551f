// Which rows of which video a clip's frames are. Reading them is tests/golden/tokens.cpp's.
#include "bovila/data/clip.h"

#include "tests/unit/data/files.h"

using namespace bovila;

namespace {

using Counts = std::vector<std::optional<int64_t>>;

/// Rows of a clip of one span.
std::vector<int64_t> rows_of(int64_t first, int64_t last, std::optional<int64_t> num_frames,
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

}  // namespace

TEST_CASE("clip: a span is a Python slice of its video") {
  CHECK(rows_of(2, 5, 10, 6) == Rows{2, 3, 4});
  CHECK(rows_of(8, 12, 10, 6) == Rows{8, 9});
  CHECK(rows_of(10, 12, 10, 6).empty());
  CHECK(rows_of(15, 20, 10, 6).empty());
  CHECK(rows_of(0, FrameSpan::kToEnd, 3, 6) == Rows{0, 1, 2});
  CHECK(rows_of(2, FrameSpan::kToEnd, 3, 6) == Rows{2});
  CHECK(rows_of(5, 5, 10, 6).empty());
  CHECK(rows_of(0, 4, 0, 6).empty());
}

TEST_CASE("clip: a longer clip is sampled at rows j * n / F") {
  CHECK(rows_of(10, 17, 100, 6) == Rows{10, 11, 12, 13, 14, 15});
  CHECK(rows_of(0, 13, 13, 5) == Rows{0, 2, 5, 7, 10});
  CHECK(rows_of(0, 6, 6, 6) == Rows{0, 1, 2, 3, 4, 5});
  CHECK(rows_of(0, 100, 100, 1) == Rows{0});
}

TEST_CASE("clip: a missing video is one zero row") {
  CHECK(rows_of(3, 9, std::nullopt, 6) == Rows{FrameChoice::kZeroRow});
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

TEST_CASE("clip: no span at all gives no frame, and a wrong call is refused") {
  CHECK(choose_frames({}, {}, 6).empty());
  const std::vector<FrameSpan> clip = {{"v"}};
  CHECK_THROWS_AS(choose_frames(clip, {}, 6), ProgramError);
  CHECK_THROWS_AS(choose_frames(clip, Counts{1}, 0), ProgramError);
}
