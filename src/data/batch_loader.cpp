// One producer for the prefetcher's thread.
#include "bovila/data/batch_loader.h"

#include <functional>
#include <optional>

namespace bovila {
namespace {

using Batch = std::vector<Example>;

std::function<std::optional<Batch>()> producer(const Dataset& data,
                                               std::span<const StepPlan> steps) {
  std::vector<std::vector<int64_t>> wanted;
  for (const StepPlan& step : steps) {
    for (const auto& rows : step.micro_batches) {
      if (!rows.empty()) wanted.push_back(rows);
    }
  }
  return [&data, wanted = std::move(wanted), next = size_t{0}]() mutable -> std::optional<Batch> {
    if (next == wanted.size()) return std::nullopt;
    Batch batch;
    for (const int64_t row : wanted[next++]) batch.push_back(data.example(row));
    return batch;
  };
}

}  // namespace

BatchLoader::BatchLoader(const Dataset& data, std::span<const StepPlan> steps, size_t ahead)
    : batches_(producer(data, steps), ahead) {}

}  // namespace bovila
