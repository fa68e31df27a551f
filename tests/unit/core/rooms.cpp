// The order of the rooms: no file includes a later room's header.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

/// In the order of the flow: CMakeLists.txt has the list.
std::vector<std::string> rooms() {
  std::istringstream words(BOVILA_ROOMS);
  return {std::istream_iterator<std::string>(words), {}};
}

/// The room of "bovila/ROOM/name.h" or "src/ROOM/name.h"; "" for other paths.
std::string room_of(const std::string& path) {
  std::smatch found;
  return std::regex_search(path, found, std::regex("^(?:include/)?(?:bovila|src)/(\\w+)/"))
             ? found[1].str()
             : "";
}

/// Each "file includes header" in which the header's room is not the file's own or an earlier one.
/// `file` is relative to the source folder.
std::vector<std::string> turned_round(const std::string& file, std::istream& text,
                                      const std::vector<std::string>& order) {
  const auto place = [&](const std::string& room) { return std::ranges::find(order, room); };
  std::vector<std::string> wrong;
  for (std::string line; std::getline(text, line);) {
    std::smatch found;
    if (!std::regex_search(line, found, std::regex("^#include \"([^\"]+)\""))) continue;
    const auto header = place(room_of(found[1]));
    if (header == order.end() || header > place(room_of(file))) {
      wrong.push_back(file + " includes " + found[1].str());
    }
  }
  return wrong;
}

std::vector<fs::path> sources_below(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const auto extension = entry.path().extension();
    if (extension == ".h" || extension == ".cpp") files.push_back(entry.path());
  }
  return files;
}

}  // namespace

TEST_CASE("rooms: a file includes its own room's headers and earlier ones' only") {
  const fs::path root = BOVILA_SOURCE_DIR;
  int num_files = 0;
  for (const char* folder : {"include", "src"}) {
    for (const fs::path& file : sources_below(root / folder)) {
      std::ifstream text(file);
      const auto wrong = turned_round(fs::relative(file, root), text, rooms());
      for (const std::string& include : wrong) FAIL_CHECK(include);
      ++num_files;
    }
  }
  CHECK(num_files > 200);
}

TEST_CASE("rooms: an include that is turned round is found") {
  const auto wrong = [](const std::string& file, const std::string& line) {
    std::istringstream text("#pragma once\n" + line + "\n");
    return !turned_round(file, text, rooms()).empty();
  };
  CHECK(wrong("include/bovila/data/prompt.h", "#include \"bovila/train/trainer.h\""));
  CHECK(wrong("src/core/hash.cpp", "#include \"src/main/set_up.h\""));
  CHECK(wrong("src/core/hash.cpp", "#include \"bovila/nowhere/hash.h\""));
  CHECK_FALSE(wrong("src/train/trainer.cpp", "#include \"bovila/data/prompt.h\""));
  CHECK_FALSE(wrong("src/data/sets/star.cpp", "#include \"src/data/sets/annotation_file.h\""));
  CHECK_FALSE(wrong("src/core/hash.cpp", "#include <torch/types.h>"));
}

TEST_CASE("rooms: each folder of sources and headers is one") {
  const fs::path root = BOVILA_SOURCE_DIR;
  const auto order = rooms();
  for (const fs::path& folder : {root / "src", root / "include/bovila"}) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (!entry.is_directory()) continue;
      CAPTURE(entry.path().string());
      CHECK(std::ranges::count(order, entry.path().filename().string()) == 1);
    }
  }
  for (const std::string& room : order) {
    CAPTURE(room);
    CHECK(fs::is_directory(root / "src" / room));
  }
}
