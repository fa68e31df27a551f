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

TEST_CASE("with questions_per_step a plan is the same on any number of ranks") {
  TrainConfig config;
  config.questions_per_step = 128;
  for (const int64_t ranks : {1, 6, 8}) {
    const auto plan = plan_training(config, 45731, ranks);
    CHECK(to_text(plan) ==
          "10 epochs of 358 steps of 128 questions, the learning rate rises to 0.045");
    CHECK(find_concerns(plan, config).empty());
  }
  const auto small = find_concerns(plan_training(config, 100, 8), config);
  REQUIRE(small.size() == 1);
  CHECK(contains(small[0], "train.questions_per_step = 128 is more than the training split's 100"));
  config.blr = 90;
  config.questions_per_step = 512;
  CHECK(contains(error_of([&] { check_rates(config, 64); }),
                 "train.blr * train.questions_per_step / 256 = 90 * 512 / 256 is a peak learning "
                 "rate of 180, expected 100 at most"));
}

TEST_CASE("ranks that no micro-batch is left for are a concern") {
  TrainConfig config;
  config.questions_per_step = 16;
  const auto concerns = find_concerns(plan_training(config, 1000, 3), config);
  REQUIRE(concerns.size() == 1);
  CHECK(concerns[0] ==
        "train.questions_per_step = 16 is 2 micro-batches of train.batch_size = 8 for 3 ranks: one "
        "has nothing to do. Take a smaller train.batch_size or fewer ranks");
  CHECK(contains(find_concerns(plan_training(config, 1000, 5), config).at(0), "3 have nothing"));
}
