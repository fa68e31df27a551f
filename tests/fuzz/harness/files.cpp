// One folder a process: a fuzzer writes thousands of files a second, under few names.
#include "tests/fuzz/harness/files.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "bovila/core/error.h"

namespace bovila::fuzz {
namespace {

struct Folder {
  std::string path = std::filesystem::temp_directory_path() / "bovila-fuzz-XXXXXX";
  Folder() { BOVILA_CHECK(mkdtemp(path.data()) != nullptr, "{} cannot be made", path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

}  // namespace

const std::string& folder() {
  static const Folder made;
  return made.path;
}

std::string put(const std::string& name, std::string_view bytes) {
  const std::filesystem::path path = std::filesystem::path(folder()) / name;
  std::filesystem::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
  file.close();
  BOVILA_CHECK(file.good(), "{} cannot be written", path.string());
  return path;
}

std::vector<std::string_view> parts(std::string_view bytes, size_t count) {
  std::vector<std::string_view> found;
  while (found.size() + 1 < count) {
    const size_t end = std::min(bytes.find('\x1e'), bytes.size());
    found.push_back(bytes.substr(0, end));
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  found.push_back(bytes);
  return found;
}

}  // namespace bovila::fuzz
