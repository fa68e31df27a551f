// What the tests of this folder share: a smallest valid deck, and the message that a bad one gives.
// Fed by config/deck.h.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "bovila/config/deck.h"
#include "bovila/core/error.h"

namespace bovila::testing {

/// Five lines with the five required keys; more lines can follow.
inline const std::string kMinimal =
    "model.llama = \"llama\"\n"
    "data.dataset = \"star\"\n"
    "data.folder = \"star\"\n"
    "data.features = \"features\"\n"
    "output.folder = \"out\"\n";

/// The message of the UserError that `read` throws, or "no error".
template <typename Read>
std::string error_of(Read&& read) {
  try {
    read();
    return "no error";
  } catch (const UserError& error) {
    return error.what();
  }
}

/// What is wrong with a deck named d.toml.
inline std::string problems_of(const std::string& text,
                               const std::vector<std::string>& overrides = {}) {
  return error_of([&] { parse_deck(text, "d.toml", overrides); });
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A folder of its own that is removed at the end of the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "bovila-test-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  /// Writes a file and returns its path.
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return *this / name;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace bovila::testing
