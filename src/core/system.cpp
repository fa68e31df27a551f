// strerror_r() in GNU's form, gethostname(), sysconf(), getenv(), clocks and files.
#include "bovila/core/system.h"

#include <unistd.h>

#include <array>
#include <chrono>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

namespace bovila {

std::string system_message(int error_number) {
  std::array<char, 256> buffer{};
  return strerror_r(error_number, buffer.data(), buffer.size());
}

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  return gethostname(name.data(), HOST_NAME_MAX) == 0 ? name.data() : "unknown";
}

double machine_memory() {
  return static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

int machine_cores() {
  return static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): the header's condition
  return value == nullptr ? "" : value;
}

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string file_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes
      << file.rdbuf();  // an iterator over it throws for a folder, or a thread that has just ended
  return bytes.str();
}

std::vector<std::string> stat_words(const std::filesystem::path& stat) {
  const std::string text = file_bytes(stat);
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream words(text.substr(name_end + 1));
  return {std::istream_iterator<std::string>(words), {}};
}

}  // namespace bovila
