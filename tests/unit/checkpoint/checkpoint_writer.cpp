// Proves checkpoint/checkpoint_writer.h: saves in the background, in order; failures are warnings;
// and a kill at any moment leaves the newest checkpoint whole.
#include "bovila/checkpoint/checkpoint_writer.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <random>

#include "bovila/checkpoint/checkpoint.h"
#include "bovila/core/log.h"
#include "tests/unit/checkpoint/checkpoint_helpers.h"
#include "tests/unit/checkpoint/log_capture.h"

using namespace bovila;
using namespace bovila::testing;
namespace fs = std::filesystem;

namespace {

/// No file can grow beyond this while it lives: a disk that is full, as far as write() can tell.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t num_bytes) {
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limited{num_bytes, before_.rlim_max};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &limited) == 0);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    signal(SIGXFSZ, SIG_DFL);
  }

 private:
  rlimit before_{};
};

TrainState state_without_best(int64_t step) {
  TrainState state = make_state(step);
  state.best_step = -1;
  return state;
}

constexpr int64_t kArraySize = 50'000;  // writing takes longer than what surrounds it

/// A training run: saves step after step and tells which were submitted after the one before was
/// known to be on disk.
[[noreturn]] void train_until_killed(const fs::path& root, int64_t first_step, int report) {
  spdlog::set_level(spdlog::level::off);
  CheckpointWriter writer(root, 2);
  for (int64_t step = first_step;; ++step) {
    writer.submit(make_state(step, kArraySize));
    const int64_t saved = writer.last_saved_step();
    if (write(report, &saved, sizeof saved) != sizeof saved) _exit(1);
  }
}

/// Starts a run, kills it after a while, and returns the last step that it knew to be saved.
int64_t run_and_kill(const fs::path& root, int64_t first_step, std::chrono::microseconds after) {
  int pipe_ends[2];
  REQUIRE(pipe(pipe_ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) train_until_killed(root, first_step, pipe_ends[1]);
  std::this_thread::sleep_for(after);
  kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status));
  close(pipe_ends[1]);
  int64_t saved = -1;
  for (int64_t step; read(pipe_ends[0], &step, sizeof step) == sizeof step;) saved = step;
  close(pipe_ends[0]);
  return saved;
}

/// The quickest of three.
std::chrono::microseconds time_of_a_save(const fs::path& root) {
  using Clock = std::chrono::steady_clock;
  auto least = std::chrono::microseconds::max();
  for (int64_t step = 1; step <= 3; ++step) {
    const auto start = Clock::now();
    save_checkpoint(root, make_state(step, kArraySize));
    least = std::min(least,
                     std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start));
  }
  return least;
}

}  // namespace

TEST_CASE("what is submitted is saved in the background, and old ones are deleted") {
  const TemporaryFolder temporary;
  const LogCapture log;
  CheckpointWriter writer(temporary / "c", 2);
  CHECK(writer.last_saved_step() == -1);
  for (int64_t step = 1; step <= 5; ++step) writer.submit(state_without_best(step));
  writer.wait();
  CHECK(writer.last_saved_step() == 5);
  CHECK(writer.num_failures() == 0);
  CHECK(list_checkpoints(temporary / "c") == std::vector<int64_t>{5, 4});
  CHECK(same(load_checkpoint(temporary / "c/step-00000005"), state_without_best(5)));
  CHECK(contains(log.text(), "checkpoint of step 3 saved"));
}

TEST_CASE("the state's best step is kept") {
  const TemporaryFolder temporary;
  const LogCapture log;
  CheckpointWriter writer(temporary / "c", 2);
  for (int64_t step = 1; step <= 6; ++step) {
    TrainState state = make_state(step);
    state.best_step = 2;
    writer.submit(std::move(state));
  }
  writer.wait();
  CHECK(list_checkpoints(temporary / "c") == std::vector<int64_t>{6, 5, 2});
}

TEST_CASE("destroying the writer waits for the save in progress") {
  const TemporaryFolder temporary;
  const LogCapture log;
  {
    CheckpointWriter writer(temporary / "c", 2);
    writer.submit(make_state(1, kArraySize));
  }
  CHECK(same(load_checkpoint(temporary / "c/step-00000001"), make_state(1, kArraySize)));
}

TEST_CASE("saving now waits for the save in progress and leaves both") {
  const TemporaryFolder temporary;
  const LogCapture log;
  CheckpointWriter writer(temporary / "c", 2);
  writer.submit(make_state(1, kArraySize));
  CHECK(writer.save_now(make_state(2)) == std::nullopt);
  CHECK(list_checkpoints(temporary / "c") == std::vector<int64_t>{2, 1});
  CHECK(writer.save_now(make_state(2)) == std::nullopt);
  CHECK(contains(log.text(), "checkpoint of step 2 was there already"));
}

TEST_CASE("a full disk is a loud warning, older checkpoints stay, and later saves succeed") {
  const TemporaryFolder temporary;
  const LogCapture log;
  CheckpointWriter writer(temporary / "c", 2);
  writer.submit(state_without_best(1));
  writer.wait();
  {
    const FileSizeLimit limit(100);
    writer.submit(state_without_best(2));
    CHECK(contains(writer.wait().value_or(""), "File too large"));
    CHECK(contains(writer.save_now(state_without_best(3)).value_or(""), "File too large"));
  }
  CHECK(writer.num_failures() == 2);
  CHECK(writer.last_saved_step() == 1);
  CHECK(contains(log.text(), "warning"));
  CHECK(contains(log.text(), "CHECKPOINT NOT SAVED: step 2: "));
  CHECK(contains(log.text(), "The run goes on and older checkpoints stay"));
  CHECK_FALSE(contains(log.text(), "step 3"));  // whoever saves now says what becomes of the run
  CHECK(num_entries(temporary / "c") == 1);
  CHECK(find_newest_valid(temporary / "c")->state.step == 1);
  CHECK(writer.save_now(state_without_best(4)) == std::nullopt);
  CHECK(writer.last_saved_step() == 4);
  writer.submit(state_without_best(5));
  CHECK(writer.wait() == std::nullopt);
}

TEST_CASE(
    "a place that cannot be written to, and a state that cannot be stored, are warnings too") {
  const TemporaryFolder temporary;
  const LogCapture log;
  CheckpointWriter writer(temporary.write("file", ""), 2);
  writer.submit(make_state(1));
  writer.wait();
  CHECK(writer.num_failures() == 1);
  TrainState state = make_state(2);
  state.arrays[0].values.clear();
  CHECK(contains(CheckpointWriter(temporary / "c", 2).save_now(state).value_or(""), "0 values"));
  CHECK(contains(log.text(), "Not a directory"));
}

TEST_CASE("what a killed deletion left is no obstacle to the next save and its deletions") {
  const TemporaryFolder temporary;
  const LogCapture log;
  for (int64_t step = 1; step <= 3; ++step) save_checkpoint(temporary / "c", make_state(step));
  const std::string in_the_way = temporary / "c/.step-00000001.deleted";
  fs::create_directory(in_the_way);
  put(fs::path(in_the_way) / "state.h5", "half");
  CheckpointWriter writer(temporary / "c", 2);
  CHECK(writer.save_now(state_without_best(4)) == std::nullopt);
  CHECK_FALSE(fs::exists(in_the_way));
  CHECK(list_checkpoints(temporary / "c") == std::vector<int64_t>{4, 3});
}

TEST_CASE("keeping fewer than two is an error") {
  CHECK_THROWS_WITH_AS(CheckpointWriter("c", 1), doctest::Contains("at least 2"), ProgramError);
}

TEST_CASE("killed at fifty random moments, the newest checkpoint is always whole and never lost") {
  const TemporaryFolder temporary;
  const fs::path root = temporary / "c";
  std::mt19937 random(12345);
  const int64_t save_us = time_of_a_save(temporary / "timed").count();
  std::uniform_int_distribution<int64_t> delay_us(0, std::max<int64_t>(160'000, save_us * 5 / 2));
  int64_t newest_step = 0;
  size_t num_skipped = 0, num_half_written = 0;
  for (int round = 0; round < 50; ++round) {
    const int64_t saved =
        run_and_kill(root, newest_step + 1, std::chrono::microseconds(delay_us(random)));
    const auto newest = find_newest_valid(root, [&](const auto&, const auto&) { ++num_skipped; });
    const int64_t step = newest ? newest->state.step : 0;
    CHECK(step >= std::max(saved, newest_step));
    if (newest) CHECK(same(newest->state, make_state(step, kArraySize)));
    newest_step = step;
    if (newest) num_half_written += num_entries(root) > list_checkpoints(root).size() ? 1 : 0;
  }
  CHECK(num_skipped == 0);
  CHECK(num_half_written > 0);
  CHECK(newest_step > 0);
  save_checkpoint(root, make_state(newest_step + 1));
  retain(root, 2, -1);
  CHECK(list_checkpoints(root) == std::vector<int64_t>{newest_step + 1, newest_step});
  CHECK(num_entries(root) == 2);
}
