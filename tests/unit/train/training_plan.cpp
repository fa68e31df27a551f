// What settings cannot do together, by numbers. With data and weights: tests/cli/check.sh.
#include "bovila/train/training_plan.h"

#include "tests/unit/temp_folder.h"

using namespace bovila;
using testing::contains;
using testing::error_of;

namespace {

/// 8 questions a rank and micro-batch, 2 micro-batches a step.
TrainConfig published() {
  TrainConfig config;
  config.batch_size = 8;
  config.accum_iter = 2;
  return config;
}

}  // namespace

TEST_CASE("a plan counts a step of fewer questions as one") {
  const auto plan = plan_training(published(), 45731, 8);
  CHECK(plan.per_step == 128);
  CHECK(plan.steps_per_epoch == 358);
  CHECK(to_text(plan) ==
        "10 epochs of 358 steps of 128 questions, the learning rate rises to 0.045");
  CHECK(find_concerns(plan, published()).empty());
}

TEST_CASE(
    "a batch larger than the split is a warning, and an error where its one step has no rate") {
  auto config = published();
  const auto concerns = find_concerns(plan_training(config, 100, 8), config);
  REQUIRE(concerns.size() == 1);
  CHECK(concerns[0] ==
        "train.batch_size * train.accum_iter * ranks = 128 is more than the training split's 100 "
        "questions: an epoch is one step, and the run has 10 steps");
  CHECK(find_concerns(plan_training(config, 128, 8), config).empty());
  config.epochs = 1;
  config.warmup_epochs = 0.5;
  CHECK(contains(error_of([&] { find_concerns(plan_training(config, 128, 8), config); }),
                 "ranks = 128 for 128 questions is one step, and the warm-up's first step has the "
                 "learning rate 0: nothing would be trained"));
  CHECK_NOTHROW(find_concerns(plan_training(config, 129, 8), config));
  config.warmup_epochs = 0;
  CHECK_NOTHROW(find_concerns(plan_training(config, 100, 8), config));
}

TEST_CASE("the published rates are let through at any usual number of ranks") {
  for (const int64_t ranks : {1, 8, 64, 512}) CHECK_NOTHROW(check_rates(published(), ranks));
}

TEST_CASE("rates that leave nothing of the parameters are refused with all that they follow from") {
  auto config = published();
  config.blr = 50;
  CHECK(
      contains(error_of([&] { check_rates(config, 64); }),
               "train.blr * train.batch_size * train.accum_iter * ranks / 256 = 50 * 8 * 2 * 64 / "
               "256 is a peak learning rate of 200, expected 100 at most"));
  config = published();
  config.lr = 0.5;
  config.visual_lr_scale = 4;
  config.weight_decay = 0.5;
  CHECK(
      contains(error_of([&] { check_rates(config, 8); }),
               "the learning rate 2 (train.lr = 0.5) times train.weight_decay = 0.5 is 1, expected "
               "less than 1"));
  config.weight_decay = 0.4;
  CHECK_NOTHROW(check_rates(config, 8));
  config.min_lr = 0.6;
  CHECK(contains(error_of([&] { check_rates(config, 8); }),
                 "train.min_lr = 0.6 is above the peak learning rate 0.5 (train.lr = 0.5)"));
}

TEST_CASE("memory is judged for all ranks of a machine together") {
  LeastMemory memory;
  memory.parameters = 1e9;
  memory.batches = 2e9;
  memory.layers = 3e9;
  memory.evaluation = 4e9;
  CHECK(memory.total() ==
        7e9);  // a micro-batch and a batch that is scored are never there together
  CHECK_NOTHROW(check_memory(memory, 2, 14e9));
  CHECK(
      contains(error_of([&] { check_memory(memory, 2, 13.9e9); }),
               "2 ranks of this machine would need 14.0 GB at least beside the weights, and it has "
               "13.9 GB. Of each rank: 1.0 GB for trained parameters"));
}
