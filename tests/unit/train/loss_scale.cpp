// Growing and backing off.
#include "bovila/train/loss_scale.h"

#include <doctest/doctest.h>

using namespace bovila;

TEST_CASE("a loss scale that is off is 1 for ever") {
  LossScale scale;
  for (int step = 0; step < 5000; ++step) scale.update(step % 3 == 0);
  CHECK(scale.value() == 1);
  CHECK_FALSE(scale.is_dynamic());
}

TEST_CASE("the scale starts at 65536, halves on overflow and doubles after 2000 good steps") {
  LossScale scale = LossScale::dynamic();
  CHECK(scale.value() == 65536);
  scale.update(true);
  CHECK(scale.value() == 32768);
  for (int step = 0; step < 1999; ++step) scale.update(false);
  CHECK(scale.value() == 32768);
  scale.update(false);
  CHECK(scale.value() == 65536);
}

TEST_CASE("an overflow starts the count of good steps again") {
  LossScale scale = LossScale::dynamic();
  for (int step = 0; step < 1999; ++step) scale.update(false);
  scale.update(true);
  CHECK(scale.good_steps() == 0);
  for (int step = 0; step < 1999; ++step) scale.update(false);
  CHECK(scale.value() == 32768);
}

TEST_CASE("a scale that was saved goes on where it was") {
  LossScale scale(1024, 1999);
  scale.update(false);
  CHECK(scale.value() == 2048);
}
