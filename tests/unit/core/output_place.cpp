// What a tool may write to, and what it may replace there.
#include "bovila/core/output_place.h"

#include "tests/unit/temp_folder.h"

using namespace bovila;
namespace fs = std::filesystem;
using bovila::testing::contains;
using bovila::testing::error_of;

namespace {

bool is_made(const fs::path& file) {
  return file.filename().string().starts_with("made");
}
const Product kFolder{"a set", "made.index", is_made};
const Product kFile{"a made file", nullptr, is_made};

/// What output_place() says with --force to a folder product.
std::string refusal(const fs::path& target, std::initializer_list<fs::path> sources = {}) {
  return error_of([&] { output_place(target, kFolder, true, sources); });
}

}  // namespace

TEST_CASE("output place: nothing and an empty folder are written to, a product when asked to") {
  const testing::TempFolder home;
  const std::string set = home.path() + "/set";
  CHECK(output_place(set, kFolder, false).path == fs::canonical(home.path()) / "set");
  fs::create_directory(set);
  CHECK(output_place(set + "/", kFolder, false).path == fs::canonical(set));
  home.write("set/made.index", "");
  home.write("set/made.values", "");
  for (const char* name : {".lock", ".nfs0001", "._made.values", ".DS_Store"}) {
    home.write(std::string("set/") + name, "");
  }
  CHECK(contains(error_of([&] { output_place(set, kFolder, false); }), "use --force"));
  CHECK(output_place(set + "/../set/", kFolder, true).path == fs::canonical(set));
  const std::string file = home.write("made.pth", "");
  CHECK(contains(error_of([&] { output_place(file, kFile, false); }), "use --force"));
  CHECK(output_place(file, kFile, true).shown == file);
}

TEST_CASE("output place: what is not the product is never replaced") {
  const testing::TempFolder home;
  home.write("thesis/made.index", "");
  home.write("thesis/text", "");
  CHECK(contains(refusal(home.path() + "/thesis"), "expected a set or nothing, text is there"));
  home.write("part/made.values", "");
  CHECK(contains(refusal(home.path() + "/part"), "made.values is there"));
  home.write("deep/made.index", "");
  home.write("deep/made.folder/text", "");
  CHECK(contains(refusal(home.path() + "/deep"), "made.folder is there"));
  home.write("linked/made.index", "");
  fs::create_symlink(home.path() + "/thesis/text", home.path() + "/linked/made.values");
  CHECK(contains(refusal(home.path() + "/linked"), "made.values is there"));
  CHECK(contains(refusal(home.write("made.file", "")), "a file is there"));
  CHECK(contains(refusal("/"), "expected a name to write to"));
  for (const std::string& other : {home.write("text", ""), home.path(), std::string("/dev/null")}) {
    CHECK(contains(error_of([&] { output_place(other, kFile, true); }),
                   "expected a made file or nothing, something else is there"));
  }
}

TEST_CASE("output place: links are followed and said, also one that leads nowhere yet") {
  const testing::TempFolder home;
  const fs::path real = fs::canonical(home.path());
  home.write("disk/set/made.index", "");
  fs::create_symlink("disk/set", home.path() + "/set");
  fs::create_symlink("set", home.path() + "/link");
  const OutputPlace place = output_place(home.path() + "/link/", kFolder, true);
  CHECK(place.path == real / "disk/set");
  CHECK(contains(place.shown, fmt::format("(a link to {}/disk/set)", real.string())));
  fs::create_symlink("disk/new", home.path() + "/new");
  CHECK(output_place(home.path() + "/new", kFolder, false).path == real / "disk/new");
  CHECK(output_place(home.path() + "/new", kFile, false).path == real / "disk/new");
  fs::create_symlink("loop", home.path() + "/loop");
  CHECK(contains(refusal(home.path() + "/loop"), "Too many levels of symbolic links"));
}

TEST_CASE("output place: what is read is never replaced, nor a folder that holds it") {
  const testing::TempFolder home;
  const std::string source = home.write("set/made.index", "");
  home.write("set/made.values", "");
  fs::create_symlink(home.path() + "/set", home.path() + "/link");
  for (const char* target : {"/set", "/link", "/set/", "/link/../set"}) {
    for (const char* read : {"/set", "/link", "/set/made.index", "/link/made.index"}) {
      CHECK(contains(refusal(home.path() + target, {home.path() + read}), "is never replaced"));
    }
  }
  CHECK(contains(refusal(home.path(), {source}), "is never replaced"));
  CHECK(contains(error_of([&] { output_place(source, kFile, true, {source}); }),
                 "is never replaced"));
  CHECK(output_place(home.path() + "/set", kFolder, true, {home.write("other", "")}).path ==
        fs::canonical(home.path()) / "set");
  CHECK(output_place(home.path() + "/new", kFolder, false, {source, "nowhere"}).path ==
        fs::canonical(home.path()) / "new");
}
