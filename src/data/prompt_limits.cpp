// A few round limits between the one that is set and the longest prompt.
#include "bovila/data/prompt_limits.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "bovila/core/error.h"

namespace bovila {

std::string limits_text(std::span<const int64_t> lengths, int64_t limit) {
  BOVILA_CHECK(!lengths.empty(), "no length over {}", limit);
  constexpr int64_t kSteps = 4, kRound = 8;
  const int64_t longest = std::ranges::max(lengths);
  std::vector<std::string> smaller;
  int64_t before = limit;
  for (int64_t step = 1; step < kSteps; ++step) {
    const int64_t plain = limit + (longest - limit) * step / kSteps;
    const int64_t round = (plain + kRound - 1) / kRound * kRound;
    if (round <= before || round >= longest) continue;
    before = round;
    const auto lost = std::ranges::count_if(lengths, [&](int64_t n) { return n > round; });
    smaller.push_back(fmt::format("{} loses {}", round, lost));
  }
  return fmt::format("model.max_seq_len = {} fits all{}", longest,
                     smaller.empty() ? "" : fmt::format(" ({})", fmt::join(smaller, ", ")));
}

}  // namespace bovila
