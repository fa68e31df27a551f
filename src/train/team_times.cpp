// One vector holds each rank's busy time in its place, and behind them sums.
#include "bovila/train/team_times.h"

#include <fmt/format.h>

#include <algorithm>

#include "bovila/dist/libtorch.h"

namespace bovila {

TeamTimes gather_times(const StepTimes& mine, const std::vector<std::string>& hosts,
                       const RankGrid& grid) {
  Communicator& ranks = grid.all();
  const bool counts_tokens = grid.tensor() == nullptr || grid.tensor()->rank() == 0;
  const int64_t count = ranks.size();
  auto numbers = torch::zeros({count + 5}, torch::kFloat64);
  double* values = numbers.data_ptr<double>();
  values[ranks.rank()] = mine.busy_s();
  double* sums = values + count;
  const double parts[] = {mine.data_s, mine.compute_s, mine.others_s, mine.update_s,
                          counts_tokens ? static_cast<double>(mine.tokens) : 0.0};
  std::ranges::copy(parts, sums);
  ranks.all_reduce(numbers, ReduceOp::kSum);
  ranks.synchronize();
  const auto size = static_cast<double>(count);
  TeamTimes team;
  team.mean = {sums[0] / size, sums[1] / size, sums[2] / size, sums[3] / size,
               static_cast<int64_t>(sums[4])};
  const double* fastest = std::min_element(values, values + count);
  const double* slowest = std::max_element(values, values + count);
  const auto name = [&](int rank) {
    return fmt::format("rank {} on {}", rank, hosts[static_cast<size_t>(rank)]);
  };
  team.fastest = static_cast<int>(fastest - values);
  team.slowest = static_cast<int>(slowest - values);
  team.fastest_s = *fastest;
  team.slowest_s = *slowest;
  team.fastest_name = name(team.fastest);
  team.slowest_name = name(team.slowest);
  return team;
}

double peak_tokens_per_s(const LlamaParams& llama, int64_t ranks, double tflops) {
  constexpr double kOperations = 4;
  return static_cast<double>(ranks) * tflops * 1e12 /
         (kOperations * static_cast<double>(llama.num_in_layers()));
}

}  // namespace bovila
