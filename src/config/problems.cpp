// Sorting and printing of problems, and the guess behind "did you mean".
#include "bovila/config/problems.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <tuple>

#include "bovila/core/error.h"

namespace bovila {
namespace {

/// Keys and paths may hold any character, and a problem has one line.
std::string on_one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    line += byte < 0x20 || byte == 0x7f ? fmt::format("\\x{:02x}", byte) : std::string(1, c);
  }
  return line;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);  // distances of a's first i characters to b's prefixes
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string DeckPlace::text() const {
  return line == 0 ? source : fmt::format("{}:{}:{}", source, line, column);
}

void Problems::add(DeckPlace place, std::string message) {
  problems_.push_back({std::move(place), std::move(message)});
}

void Problems::throw_if_any() const {
  if (empty()) return;
  auto sorted = problems_;
  std::ranges::stable_sort(sorted, {}, [](const Problem& problem) {
    const DeckPlace& place = problem.place;
    return std::make_tuple(place.line == 0, place.line, place.column);
  });
  std::string lines;
  for (const Problem& problem : sorted) {
    if (!lines.empty()) lines += '\n';
    lines += on_one_line(fmt::format("{}: {}", problem.place.text(), problem.message));
  }
  throw UserError(lines);
}

std::string_view nearest(std::string_view word, const std::vector<std::string_view>& candidates) {
  std::string_view best;
  size_t best_distance = std::max<size_t>(1, (word.size() + 1) / 3) + 1;
  for (const std::string_view candidate : candidates) {
    // The difference in length is a lower bound, and keeps absurdly long words cheap.
    if (word.size() > candidate.size() + best_distance) continue;
    const size_t distance = edit_distance(word, candidate);
    if (distance >= best_distance) continue;
    best = candidate;
    best_distance = distance;
  }
  return best;
}

}  // namespace bovila
