// SPEC 6's schedule at its corners.
#include "bovila/train/schedule.h"

#include <doctest/doctest.h>

using namespace bovila;

TEST_CASE("the rate is scaled by the questions of a full step over all ranks") {
  TrainConfig config;
  config.blr = 9e-2;
  config.batch_size = 8;
  config.accum_iter = 2;
  CHECK(base_learning_rate(config, 8) == doctest::Approx(0.045));
  config.lr = 1e-3;
  CHECK(base_learning_rate(config, 8) == 1e-3);
}

TEST_CASE("linear warm-up, then half a cosine to min_lr") {
  TrainConfig config;
  config.epochs = 10;
  config.warmup_epochs = 2;
  config.min_lr = 0.1;
  CHECK(learning_rate(config, 1, 0) == 0);
  CHECK(learning_rate(config, 1, 1) == doctest::Approx(0.5));
  CHECK(learning_rate(config, 1, 2) == doctest::Approx(1));
  CHECK(learning_rate(config, 1, 6) == doctest::Approx(0.55));
  CHECK(learning_rate(config, 1, 10) == doctest::Approx(0.1));
}

TEST_CASE("no warm-up starts at the peak") {
  TrainConfig config;
  config.warmup_epochs = 0;
  CHECK(learning_rate(config, 1, 0) == doctest::Approx(1));
}

TEST_CASE("self-questioning's weight rises over its own warm-up and stays") {
  LossConfig config;
  config.aqa = 0.5;
  CHECK(losses_at(config, 0).aqa == 0.5);
  config.aqa_warmup_epochs = 2;
  CHECK(losses_at(config, 0).aqa == 0);
  CHECK(losses_at(config, 0.5).aqa == doctest::Approx(0.125));
  CHECK(losses_at(config, 2).aqa == 0.5);
  CHECK(losses_at(config, 9).aqa == 0.5);
  CHECK(losses_at(config, 0.5).vaq == config.vaq);
}

TEST_CASE("with questions_per_step the rate is the same on any number of ranks") {
  TrainConfig config;
  config.blr = 9e-2;
  config.batch_size = 8;
  config.questions_per_step = 128;
  for (const int64_t ranks : {1, 2, 6, 8}) {
    CHECK(base_learning_rate(config, ranks) == doctest::Approx(0.045));
    CHECK(part_of_epoch(config, 40, 100, ranks) == doctest::Approx(5.0 / 13));
  }
  config.questions_per_step = 0;
  CHECK(part_of_epoch(config, 40, 100, 1) == doctest::Approx(5.0 / 13));
  CHECK(part_of_epoch(config, 32, 100, 4) == doctest::Approx(1.0 / 4));
}
