// The two forms that a shell's user expects to work everywhere.
#include "bovila/core/path.h"

#include <pwd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <system_error>
#include <utility>

#include "bovila/core/error.h"
#include "bovila/core/system.h"

namespace bovila {
namespace {

/// The home of a user, "": of one's own; "" where there is none.
std::string home_of(const std::string& user) {
  if (user.empty()) return environment("HOME");
  const passwd* found = getpwnam(user.c_str());  // NOLINT(concurrency-mt-unsafe): one thread
  return found == nullptr ? "" : found->pw_dir;
}

bool is_name(const std::string& name) {
  const auto is_word = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; };
  return !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) == 0 &&
         std::ranges::all_of(name, is_word);
}

/// The name of the variable whose $ is at `at`, and where the text behind it begins; "" for a $
/// that is none's.
std::pair<std::string, size_t> variable_at(const std::string& path, size_t at) {
  size_t begin = at + 1, end = begin;
  if (begin < path.size() && path[begin] == '{') {
    end = path.find('}', ++begin);
    if (end == std::string::npos || !is_name(path.substr(begin, end - begin))) return {"", at + 1};
    return {path.substr(begin, end - begin), end + 1};
  }
  while (end < path.size() && is_name(path.substr(begin, end - begin + 1))) ++end;
  return {path.substr(begin, end - begin), end};
}

std::string value_of(const std::string& name, const std::string& path) {
  const std::string value = environment(name.c_str());
  if (!value.empty()) return value;
  throw UserError("'{}': the variable {} is not set", path, name);
}

}  // namespace

std::string expand_path(const std::string& path) {
  std::error_code ignored;
  if (path.find_first_of("~$") == std::string::npos || std::filesystem::exists(path, ignored)) {
    return path;
  }
  std::string expanded;
  size_t at = 0;
  if (path.starts_with('~')) {
    const size_t end = std::min(path.find('/'), path.size());
    const std::string home = home_of(path.substr(1, end - 1));
    if (!home.empty()) {
      expanded = home;
      at = end;
    }
  }
  while (at < path.size()) {
    const auto [name, after] =
        path[at] == '$' ? variable_at(path, at) : std::pair(std::string(), at + 1);
    expanded += name.empty() ? path.substr(at, after - at) : value_of(name, path);
    at = after;
  }
  return expanded;
}

}  // namespace bovila
