// What a step is said to be.
#include "bovila/train/step_size.h"

#include <doctest/doctest.h>

using namespace bovila;

namespace {

Config star() {
  Config config;
  config.data.dataset = "star";
  config.train.accum_iter = 2;
  return config;
}

}  // namespace

TEST_CASE("a step is told in questions, micro-batches and ranks, and the published one beside it") {
  Config config = star();
  CHECK(step_size_text(config, 8) ==
        "a step is 128 questions: 16 micro-batches of 8 on 8 ranks, 2 each, as published");
  CHECK(step_size_text(config, 1) ==
        "a step is 16 questions: 2 micro-batches of 8 on 1 rank, 2 each; the published one, with "
        "which train.blr was found, was 128 on 8 ranks: train.questions_per_step = 128 in place of "
        "train.accum_iter gives it on any number");
  config.train.accum_iter = 1;
  config.train.questions_per_step = 128;
  CHECK(step_size_text(config, 6) ==
        "a step is 128 questions: 16 micro-batches of 8 on 6 ranks, 2 or 3 each, as published");
}

TEST_CASE("Flipped-VQA's steps are its own") {
  Config config = star();
  config.loss.qav = 1;
  config.train.accum_iter = 1;
  CHECK(step_size_text(config, 4) ==
        "a step is 32 questions: 4 micro-batches of 8 on 4 ranks, 1 each, as published");
}

TEST_CASE("a deck with a rate or a data set of its own has no published step") {
  Config config = star();
  const std::string alone = "a step is 16 questions: 2 micro-batches of 8 on 1 rank, 2 each";
  config.train.lr = 0.01;
  CHECK(step_size_text(config, 1) == alone);
  config = star();
  config.train.blr = 1e-2;
  CHECK(step_size_text(config, 1) == alone);
  config = star();
  config.data.dataset = "jsonl";
  CHECK(step_size_text(config, 1) == alone);
}
