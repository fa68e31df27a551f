// When checkpoints are due.
#include "bovila/checkpoint/save_schedule.h"

#include <doctest/doctest.h>

using namespace bovila;
using Clock = SaveSchedule::Clock;
using std::chrono::minutes;

namespace {

const Clock::time_point kStart = Clock::time_point() + minutes(1000);

SaveSchedule make(int64_t every_steps, double every_minutes) {
  CheckpointConfig config;
  config.every_steps = every_steps;
  config.every_minutes = every_minutes;
  return {config, kStart};
}

}  // namespace

TEST_CASE("by steps, checkpoints are due at multiples, wherever a run began") {
  const SaveSchedule schedule = make(5, 0);
  CHECK_FALSE(schedule.is_due(4, kStart + minutes(1000)));
  CHECK(schedule.is_due(5, kStart));
  CHECK_FALSE(schedule.is_due(6, kStart));
  CHECK(schedule.is_due(10, kStart));
}

TEST_CASE("by time, a checkpoint is due so long after the last one") {
  SaveSchedule schedule = make(0, 10);
  CHECK_FALSE(schedule.is_due(1, kStart + minutes(9)));
  CHECK(schedule.is_due(1, kStart + minutes(10)));
  schedule.saved(kStart + minutes(10));
  CHECK_FALSE(schedule.is_due(2, kStart + minutes(19)));
  CHECK(schedule.is_due(3, kStart + minutes(20)));
}

TEST_CASE("either of both is enough, and none is never") {
  CHECK(make(5, 10).is_due(5, kStart));
  CHECK(make(5, 10).is_due(1, kStart + minutes(10)));
  CHECK_FALSE(make(0, 0).is_due(5, kStart + minutes(100000)));
}
