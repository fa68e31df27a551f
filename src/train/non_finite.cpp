// Sums are looked at on the host only after a step went wrong.
#include "bovila/train/non_finite.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace bovila {
namespace {

bool is_finite(const torch::Tensor& number) {
  return std::isfinite(number.item<double>());
}

std::string to_bytes(const std::vector<int64_t>& rows) {
  return {reinterpret_cast<const char*>(rows.data()), rows.size() * sizeof(int64_t)};
}

void append(const std::string& bytes, std::vector<int64_t>& rows) {
  const size_t before = rows.size();
  rows.resize(before + bytes.size() / sizeof(int64_t));
  if (!bytes.empty()) std::memcpy(rows.data() + before, bytes.data(), bytes.size());
}

}  // namespace

std::string name_of(double number) {
  return std::isnan(number) ? "nan" : fmt::format("{}", number);
}

void StepTrace::add(std::vector<int64_t> rows, const torch::Tensor& losses,
                    const torch::Tensor& gradient) {
  micro_batches_.push_back({std::move(rows), losses.sum(), gradient.sum()});
}

std::vector<int64_t> StepTrace::suspects(Communicator& ranks) const {
  std::vector<int64_t> mine;
  bool gradient_was_finite = true;
  for (const MicroBatch& micro : micro_batches_) {
    const bool gradient_is_finite = is_finite(micro.gradient);
    const bool spoiled_it = gradient_was_finite && !gradient_is_finite;
    if (spoiled_it || !is_finite(micro.losses)) {
      mine.insert(mine.end(), micro.rows.begin(), micro.rows.end());
    }
    gradient_was_finite = gradient_is_finite;
  }
  std::vector<int64_t> all;
  for (const std::string& bytes : ranks.all_gather(to_bytes(mine))) append(bytes, all);
  std::ranges::sort(all);
  const auto again = std::ranges::unique(all);  // a group's ranks have the same
  all.erase(again.begin(), again.end());
  return all;
}

}  // namespace bovila
