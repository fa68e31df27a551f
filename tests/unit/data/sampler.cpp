// Which questions form which step.
#include "bovila/data/sampler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <set>

using namespace bovila;

TEST_CASE("an epoch's order is a permutation of its own seed and epoch") {
  auto order = epoch_order(100, 1, 0);
  CHECK(order == epoch_order(100, 1, 0));
  CHECK(order != epoch_order(100, 1, 1));
  CHECK(order != epoch_order(100, 2, 0));
  std::ranges::sort(order);
  std::vector<int64_t> all(100);
  std::iota(all.begin(), all.end(), 0);
  CHECK(order == all);
}

TEST_CASE("any number of ranks covers the same questions in each step, each once") {
  const auto order = epoch_order(53, 7, 3);
  for (const int64_t ranks : {1, 2, 3, 4}) {
    const int64_t batch = 12 / ranks;  // the same questions a step
    for (int64_t position = 0; position < 53;) {
      std::multiset<int64_t> seen;
      int64_t questions = 0, losses = 0, counted = 0;
      for (int64_t rank = 0; rank < ranks; ++rank) {
        const auto plan = plan_step(order, position, batch, 2, rank, ranks);
        for (const auto& rows : plan.micro_batches) {
          seen.insert(rows.begin(), rows.end());
          counted += rows.empty() ? 0 : 1;
        }
        questions = plan.num_questions;
        losses = plan.num_local_losses;
      }
      CHECK(seen ==
            std::multiset<int64_t>(order.begin() + position, order.begin() + position + questions));
      CHECK(losses == counted);
      position += questions;
    }
  }
}

TEST_CASE("a last micro-batch with fewer questions than ranks leaves some without") {
  const auto order = epoch_order(5, 0, 0);
  int64_t busy = 0;
  for (int64_t rank = 0; rank < 4; ++rank) {
    const auto plan = plan_step(order, 4, 1, 2, rank, 4);
    CHECK(plan.num_questions == 1);
    CHECK(plan.num_local_losses == 1);
    CHECK(plan.micro_batches.size() == 1);
    busy += plan.micro_batches[0].empty() ? 0 : 1;
  }
  CHECK(busy == 1);
}

TEST_CASE("the steps from any boundary to the end are those of the whole epoch from there on") {
  const auto order = epoch_order(53, 7, 3);
  const auto all = plan_steps(order, 0, {4, 2}, 1, 3);
  int64_t position = 0;
  for (size_t i = 0; i <= all.size(); ++i) {
    const auto rest = plan_steps(order, position, {4, 2}, 1, 3);
    REQUIRE(rest.size() == all.size() - i);
    for (size_t k = 0; k < rest.size(); ++k) {
      CHECK(rest[k].micro_batches == all[i + k].micro_batches);
    }
    if (i < all.size()) position += all[i].num_questions;
  }
  CHECK(position == 53);
}

namespace {

/// The micro-batches of all ranks of the dealt steps of 12 questions in 3s, step by step.
std::vector<std::multiset<std::vector<int64_t>>> dealt(std::span<const int64_t> order,
                                                       int64_t position, int64_t ranks) {
  std::vector<std::multiset<std::vector<int64_t>>> steps;
  for (int64_t rank = 0; rank < ranks; ++rank) {
    const auto plans = plan_steps(order, position, {3, 1, 12}, rank, ranks);
    steps.resize(plans.size());
    for (size_t s = 0; s < plans.size(); ++s) {
      for (const auto& rows : plans[s].micro_batches) {
        if (!rows.empty()) steps[s].insert(rows);
      }
    }
  }
  return steps;
}

}  // namespace

TEST_CASE("steps of so many questions have the same micro-batches on any number of ranks") {
  const auto order = epoch_order(53, 7, 3);  // 4 steps of 12 and one of 5
  const auto alone = dealt(order, 0, 1);
  REQUIRE(alone.size() == 5);
  CHECK(alone[0].size() == 4);
  CHECK(alone[4].size() == 2);
  for (const int64_t ranks : {2, 3, 4, 6, 8}) {
    CAPTURE(ranks);
    CHECK(dealt(order, 0, ranks) == alone);
    const auto rest = dealt(order, 24, ranks);  // taken over from any other number
    CHECK(std::ranges::equal(rest, std::span(alone).subspan(2)));
  }
}

TEST_CASE("a dealt step gives all ranks as many micro-batches, and each question its weight") {
  const auto order = epoch_order(53, 7, 3);
  for (const int64_t ranks : {1, 2, 3, 4, 6, 8}) {
    for (const int64_t position : {0, 48}) {
      CAPTURE(ranks);
      CAPTURE(position);
      const auto first = plan_dealt_step(order, position, 3, 12, 0, ranks);
      double total = 0;
      for (int64_t rank = 0; rank < ranks; ++rank) {
        const auto plan = plan_dealt_step(order, position, 3, 12, rank, ranks);
        CHECK(plan.micro_batches.size() == first.micro_batches.size());
        CHECK(plan.num_questions == (position == 0 ? 12 : 5));
        CHECK(plan.num_local_losses == (position == 0 ? 4 : 2));
        for (size_t m = 0; m < plan.micro_batches.size(); ++m) total += plan.weight(m);
      }
      CHECK(total == doctest::Approx(first.total_weight()));
      CHECK(first.total_weight() == doctest::Approx(position == 0 ? 4 : 5.0 / 3));
    }
  }
}

TEST_CASE("a dealt step of full micro-batches is the step of as many accumulations") {
  const auto order = epoch_order(53, 7, 3);
  for (int64_t rank = 0; rank < 3; ++rank) {
    const auto dealt_step = plan_dealt_step(order, 24, 2, 12, rank, 3);
    const auto step = plan_step(order, 24, 2, 2, rank, 3);
    CHECK(dealt_step.micro_batches == step.micro_batches);
    CHECK(dealt_step.total_weight() == step.total_weight());
    CHECK(dealt_step.weight(1) == step.weight(1));
  }
}
