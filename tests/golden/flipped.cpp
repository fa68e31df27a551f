// Flipped-VQA, of which BoViLA descends, against its published code's numbers: NExT-QA with and
// without QAV, STAR, DramaQA, VLEP and TVQA with subtitles. A golden folder has all of them or
// none.
#include <doctest/doctest.h>

#include <filesystem>

#include "tests/golden/group.h"
#include "tests/golden/runs.h"

TEST_CASE("Flipped-VQA trains and answers as its published code does") {
  if (!std::filesystem::exists(golden::folder() + "/data/nextqa")) {
    CHECK(golden::runs_of("flipped").empty());
    return;
  }
  CHECK(golden::runs_of("flipped").size() == 6);
  golden::check_runs("flipped", {.group = golden::group()});
}
