// The threads of a training run at work together: the loader reads features and tokenises, the
// writer saves checkpoints, the lock's heart beats, all of them log, and a signal comes. For the
// thread sanitizer, which says what they share without a lock. doctest comes after LibTorch, which
// has a CHECK of its own.
#include "bovila/dist/preemption.h"

#include <doctest/doctest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <sstream>
#include <thread>

#include "bovila/checkpoint/checkpoint.h"
#include "bovila/checkpoint/checkpoint_writer.h"
#include "bovila/checkpoint/run_lock.h"
#include "bovila/core/log.h"
#include "bovila/data/prefetcher.h"
#include "tests/unit/data/small_star.h"

using namespace bovila;
using testing::SmallStar;
using testing::star_questions;

namespace {

constexpr int64_t kNumExamples = 300, kSaveEvery = 10;

/// Puts all that is logged into `text`.
void log_into(std::ostringstream& text) {
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "captured", std::make_shared<spdlog::sinks::ostream_sink_mt>(text)));
}

std::function<std::optional<Example>()> producer(const Dataset& data) {
  return [&data, made = int64_t{0}]() mutable -> std::optional<Example> {
    if (made == kNumExamples) return std::nullopt;
    log::info("reading example {}", made);
    return data.example(made++ % data.size());
  };
}

TrainState state_of(int64_t step, const Example& example) {
  TrainState state;
  state.step = step;
  state.arrays = {{"frames", {std::ssize(example.frames)}, example.frames}};
  return state;
}

}  // namespace

TEST_CASE("loader, checkpoint writer, heartbeat and log work side by side") {
  std::ostringstream text;
  const auto logger_before = spdlog::default_logger();
  log_into(text);
  const SmallStar star(star_questions(3));
  const std::string folder = star.folder.path() + "/out";
  const RunLock lock(folder, std::chrono::milliseconds(1));
  const Preemption preemption;
  const Example first = star.data->example(0);
  int64_t num_examples = 0;
  {
    CheckpointWriter writer(folder, 2);
    Prefetcher<Example> examples(producer(*star.data), 4);
    while (const auto example = examples.next()) {
      CHECK(example->row == num_examples % 3);
      CHECK(example->frames == first.frames);
      if (++num_examples % kSaveEvery != 0) continue;
      log::info("step {} of epoch 0", num_examples);
      writer.submit(state_of(num_examples, *example));
      CHECK(writer.num_failures() == 0);
      CHECK_FALSE(preemption.requested());
    }
  }
  CHECK(num_examples == kNumExamples);
  spdlog::set_default_logger(logger_before);
  CHECK(load_checkpoint(checkpoint_folder(folder, kNumExamples)).arrays[0].values == first.frames);
  CHECK(testing::contains(text.str(), "checkpoint of step 300 saved"));
}

TEST_CASE("a loader that is left while it reads ends before what it reads from") {
  for (int64_t num_read = 0; num_read < 20; ++num_read) {
    const SmallStar star(star_questions(2));
    Prefetcher<Example> examples(producer(*star.data), 2);
    for (int64_t i = 0; i < num_read; ++i) CHECK(examples.next()->row == i % 2);
  }
}

TEST_CASE("a signal that one thread gets is seen by all that ask") {
  for (int round = 0; round < 20; ++round) {
    const Preemption preemption;
    const auto ask = [&] {
      while (!preemption.requested()) std::this_thread::yield();
      CHECK(preemption.requested().code == SIGUSR1);
    };
    const std::jthread loader(ask);
    const std::jthread signalled([] { std::raise(SIGUSR1); });
    ask();
  }
}
