// Proves src/checkpoint/checkpoint_folder.cpp: the newest valid checkpoint is found, what is
// skipped is named, and retention never takes the last good one.
#include <doctest/doctest.h>

#include "bovila/checkpoint/checkpoint.h"
#include "tests/unit/checkpoint/checkpoint_helpers.h"

using namespace bovila;
using namespace bovila::testing;
namespace fs = std::filesystem;

namespace {

struct Root {
  TemporaryFolder temporary;
  fs::path path = temporary / "out/checkpoints";
  explicit Root(const std::vector<int64_t>& steps) {
    for (const int64_t step : steps) save_checkpoint(path, make_state(step));
  }
  fs::path folder(int64_t step) const { return checkpoint_folder(path, step); }
  void damage(int64_t step) const { put(folder(step) / "progress.json", "{}"); }
  std::vector<int64_t> steps() const { return list_checkpoints(path); }
};

using Steps = std::vector<int64_t>;

}  // namespace

TEST_CASE("the newest by step is found, beyond eight digits too") {
  const Root root({5, 100, 20, 123456789});
  CHECK(root.steps() == Steps{123456789, 100, 20, 5});
  const auto newest = find_newest_valid(root.path);
  REQUIRE(newest.has_value());
  CHECK(newest->folder == root.folder(123456789));
  CHECK(same(newest->state, make_state(123456789)));
}

TEST_CASE("other names than a checkpoint's are not looked at") {
  const Root root({7});
  for (const char* name : {"step-9", "step-000000009", "step-0000000x", "step-", ".step-00000009",
                           "step-00000009.aside-1", "step--0000009", "step-99999999999999999999"}) {
    fs::create_directory(root.path / name);
  }
  CHECK(root.steps() == Steps{7});
}

TEST_CASE("there is nothing to find in a folder that is empty or missing") {
  const Root root({});
  CHECK_FALSE(find_newest_valid(root.path).has_value());
  fs::create_directories(root.path);
  CHECK_FALSE(find_newest_valid(root.path).has_value());
}

TEST_CASE("a place that cannot be listed is an error") {
  const Root root({});
  CHECK(contains(
      error_of([&] { find_newest_valid(root.temporary.write("file", "")); }),
      "file: expected a checkpoint's step-... folder or an output folder, this is a file"));
}

TEST_CASE("invalid ones are skipped, each named with its reason, and the next older one is taken") {
  const Root root({1, 2, 3});
  root.damage(3);
  fs::remove(root.folder(2) / "manifest.json");
  std::vector<std::pair<fs::path, std::string>> skipped;
  const auto newest = find_newest_valid(root.path, [&](const fs::path& folder, std::string reason) {
    skipped.emplace_back(folder, std::move(reason));
  });
  REQUIRE(newest.has_value());
  CHECK(newest->state.step == 1);
  REQUIRE(skipped.size() == 2);
  CHECK(skipped[0].first == root.folder(3));
  CHECK(contains(skipped[0].second, "step-00000003/progress.json: expected "));
  CHECK(skipped[1].first == root.folder(2));
  CHECK(contains(skipped[1].second, "step-00000002/manifest.json: is missing"));
}

TEST_CASE("only invalid ones are an error with all reasons") {
  const Root root({1, 2});
  root.damage(1);
  root.damage(2);
  const std::string error = error_of([&] { find_newest_valid(root.path); });
  CHECK(contains(error, "checkpoints: none of its checkpoints is valid"));
  CHECK(contains(error, "\n  " + (root.folder(2) / "progress.json").string()));
  CHECK(contains(error, "\n  " + (root.folder(1) / "progress.json").string()));
}

TEST_CASE("--resume takes an output folder, its checkpoints, or one of them") {
  const Root root({1, 2});
  const fs::path output = root.path.parent_path();
  for (const fs::path& path : {output, output / "", root.path, root.path / "", root.folder(2)}) {
    CHECK(resolve_checkpoint(path).folder == root.folder(2));
  }
  CHECK(resolve_checkpoint(root.folder(1) / "").state.step == 1);
  fs::rename(root.folder(1), output / "favourite");
  CHECK(resolve_checkpoint(output / "favourite").state.step == 1);
}

TEST_CASE("--resume with a checkpoint that is invalid takes no other one, with a folder it does") {
  const Root root({1, 2});
  root.damage(2);
  CHECK(contains(error_of([&] { resolve_checkpoint(root.folder(2)); }), "progress.json"));
  int num_skipped = 0;
  const auto count = [&](const fs::path&, const std::string&) { ++num_skipped; };
  CHECK(resolve_checkpoint(root.path, count).state.step == 1);
  CHECK(num_skipped == 1);
}

TEST_CASE("--resume with what holds no checkpoint says what is expected") {
  const Root root({});
  CHECK(contains(error_of([&] { resolve_checkpoint(root.path); }),
                 "expected a checkpoint or an output folder, there is none"));
  fs::create_directories(root.path);
  CHECK(contains(error_of([&] { resolve_checkpoint(root.path.parent_path()); }),
                 "has no checkpoint; expected an output folder, its checkpoints/ or one of"));
  CHECK(contains(
      error_of([&] { resolve_checkpoint(root.temporary.write("file", "")); }),
      "file: expected a checkpoint's step-... folder or an output folder, this is a file"));
}

TEST_CASE("the newest and the best are kept, and the deleted ones leave nothing") {
  const Root root({1, 2, 3, 4, 5});
  CHECK(retain(root.path, 2, 2) == std::vector{root.folder(3), root.folder(1)});
  CHECK(root.steps() == Steps{5, 4, 2});
  CHECK(num_entries(root.path) == 3);
  CHECK(retain(root.path, 2, 5) == std::vector{root.folder(2)});
  CHECK(retain(root.path, 3, -1).empty());
  CHECK(root.steps() == Steps{5, 4});
}

TEST_CASE("invalid checkpoints do not count among those kept, and go when they are old") {
  const Root root({1, 2, 3, 4, 5, 6});
  root.damage(6);
  root.damage(5);
  root.damage(3);
  root.damage(1);
  CHECK(retain(root.path, 2, -1) == std::vector{root.folder(1)});
  CHECK(root.steps() == Steps{6, 5, 4, 3, 2});
  root.damage(2);
  CHECK(retain(root.path, 2, -1).empty());
  CHECK(find_newest_valid(root.path)->state.step == 4);
}

TEST_CASE("a deletion that was killed half-way is finished by the next one of that step") {
  const Root root({1, 2, 3});
  fs::create_directory(root.path / ".step-00000001.deleted");
  put(root.path / ".step-00000001.deleted" / "state.h5", "half");
  retain(root.path, 2, -1);
  CHECK(root.steps() == Steps{3, 2});
  CHECK(num_entries(root.path) == 2);
}

TEST_CASE("retention of fewer than two, or of what cannot be listed, is an error") {
  const Root root({1});
  CHECK_THROWS_WITH_AS(retain(root.path, 1, -1), doctest::Contains("at least 2"), ProgramError);
  CHECK_THROWS_WITH_AS(retain(root.temporary.write("file", ""), 2, -1),
                       doctest::Contains("Not a directory"), ProgramError);
  CHECK(root.steps() == Steps{1});
}

TEST_CASE("checkpoints set aside are no longer found, and stay") {
  const Root root({1, 2, 3});
  const fs::path first = root.path / "step-00000003.aside-1";
  CHECK(set_aside(root.path, 2) == std::vector{first});
  CHECK(find_newest_valid(root.path)->state.step == 2);
  save_checkpoint(root.path, make_state(3));
  CHECK(set_aside(root.path, 2) == std::vector{root.path / "step-00000003.aside-2"});
  CHECK(set_aside(root.path, -1).size() == 2);
  CHECK(root.steps().empty());
  CHECK(same(load_checkpoint(first), make_state(3)));
  CHECK(set_aside(root.temporary / "missing", -1).empty());
  CHECK_THROWS_AS(set_aside(root.temporary.write("file", ""), -1), ProgramError);
}
