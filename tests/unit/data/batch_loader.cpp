// What a rank reads of an epoch, and in which order.
#include "bovila/data/batch_loader.h"

#include <doctest/doctest.h>

#include "tests/unit/data/small_star.h"

using namespace bovila;
using testing::SmallStar;
using testing::star_questions;

namespace {

std::vector<int64_t> rows_of(const std::vector<Example>& batch) {
  std::vector<int64_t> rows;
  for (const Example& example : batch) rows.push_back(example.row);
  return rows;
}

}  // namespace

TEST_CASE("a loader gives the micro-batches of its steps in order, without the empty ones") {
  const SmallStar star(star_questions(5));
  const std::vector<StepPlan> steps = {{.micro_batches = {{3, 1}, {}}}, {.micro_batches = {{4}}}};
  BatchLoader loader(*star.data, steps, 1);
  CHECK(rows_of(loader.next()) == std::vector<int64_t>{3, 1});
  CHECK(rows_of(loader.next()) == std::vector<int64_t>{4});
}
