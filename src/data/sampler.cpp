// Fisher-Yates over a named stream, and arithmetic on positions.
#include "bovila/data/sampler.h"

#include <algorithm>
#include <numeric>

#include "bovila/core/random.h"

namespace bovila {

std::vector<int64_t> epoch_order(int64_t count, uint64_t seed, int64_t epoch) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  RandomStream random(stream_key(seed, "epoch order", static_cast<uint64_t>(epoch)));
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

double StepPlan::weight(size_t m) const {
  if (full_batch == 0) return 1;
  return static_cast<double>(micro_batches[m].size()) / static_cast<double>(full_batch);
}

double StepPlan::total_weight() const {
  if (full_batch == 0) return static_cast<double>(num_local_losses);
  return static_cast<double>(num_questions) / static_cast<double>(full_batch);
}

StepPlan plan_step(std::span<const int64_t> order, int64_t position, int64_t batch_size,
                   int64_t accum_iter, int64_t rank, int64_t ranks) {
  StepPlan plan;
  const auto total = static_cast<int64_t>(order.size());
  for (int64_t m = 0; m < accum_iter && position < total; ++m) {
    const int64_t count = std::min(batch_size * ranks, total - position);
    const int64_t first = position + rank * count / ranks;
    const int64_t last = position + (rank + 1) * count / ranks;
    plan.micro_batches.emplace_back(order.begin() + first, order.begin() + last);
    plan.num_questions += count;
    plan.num_local_losses += std::min(count, ranks);
    position += count;
  }
  return plan;
}

StepPlan plan_dealt_step(std::span<const int64_t> order, int64_t position, int64_t batch_size,
                         int64_t questions, int64_t rank, int64_t ranks) {
  StepPlan plan;
  plan.full_batch = batch_size;
  plan.num_questions = std::min(questions, std::ssize(order) - position);
  plan.num_local_losses = (plan.num_questions + batch_size - 1) / batch_size;
  const int64_t turns = (plan.num_local_losses + ranks - 1) / ranks;
  for (int64_t turn = 0; turn < turns; ++turn) {
    const int64_t first = std::min((turn * ranks + rank) * batch_size, plan.num_questions);
    const int64_t last = std::min(first + batch_size, plan.num_questions);
    plan.micro_batches.emplace_back(order.begin() + position + first,
                                    order.begin() + position + last);
  }
  return plan;
}

std::vector<StepPlan> plan_steps(std::span<const int64_t> order, int64_t position,
                                 const StepSize& size, int64_t rank, int64_t ranks) {
  std::vector<StepPlan> steps;
  while (position < std::ssize(order)) {
    steps.push_back(
        size.questions > 0
            ? plan_dealt_step(order, position, size.batch_size, size.questions, rank, ranks)
            : plan_step(order, position, size.batch_size, size.accum_iter, rank, ranks));
    position += steps.back().num_questions;
  }
  return steps;
}

}  // namespace bovila
