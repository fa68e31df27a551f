// Numbers of things in messages. Fed by messages; feeds people.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <concepts>
#include <span>
#include <string>
#include <string_view>

namespace bovila {

/// "1 video", "2 videos".
std::string counted(std::integral auto number, std::string_view noun) {
  return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s");
}

/// "a, b, c, d, e, ...": the first five.
inline std::string first_names(std::span<const std::string> names) {
  constexpr size_t kMaxNamed = 5;
  const auto named = names.first(std::min(names.size(), kMaxNamed));
  return fmt::format("{}{}", fmt::join(named, ", "), named.size() < names.size() ? ", ..." : "");
}

}  // namespace bovila
