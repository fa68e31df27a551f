// Rows are there once and whole after kills, and kept in memory while the disk does not take them.
#include "bovila/report/result_files.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "bovila/core/error.h"
#include "tests/unit/config/helpers.h"
#include "tests/unit/temp_folder.h"

using namespace bovila;
using testing::contains;
using testing::read_text;
using testing::TempFolder;

namespace {

std::string step_row(int64_t step) {
  return "{\"step\":" + std::to_string(step) + "}";
}
std::string timing_row(int64_t step) {
  return "{\"step\":" + std::to_string(step) + ",\"time\":" + std::to_string(1000 + step) + "}";
}
std::string epoch_row(int64_t epoch, int mark = 0) {
  return "{\"epoch\":" + std::to_string(epoch) + ",\"mark\":" + std::to_string(mark) + "}";
}
void add_step(ResultFiles& files, int64_t step) {
  files.add_step(step_row(step), timing_row(step));
}

/// Two epochs of two steps from where `files` stands, flushed after each step and epoch.
void run_to_end(ResultFiles& files, int64_t step, int64_t epoch) {
  while (epoch < 2) {
    while (step < 2 * (epoch + 1)) {
      ++step;
      files.add_step("{\"step\":" + std::to_string(step) + ",\"epoch\":" + std::to_string(epoch) +
                         ",\"loss\":0.5}",
                     timing_row(step));
      CHECK_FALSE(files.flush());
    }
    files.add_epoch(epoch, "{\"epoch\":" + std::to_string(epoch) + ",\"val_acc\":0.25}", "[]", "");
    CHECK_FALSE(files.flush());
    ++epoch;
  }
}

std::vector<std::string> event_files(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (is_event_file(name)) names.push_back(name);
  }
  return names;
}

}  // namespace

TEST_CASE("rows come with flush, in order, and only once") {
  const TempFolder folder;
  ResultFiles files(folder.path(), false);
  add_step(files, 1);
  add_step(files, 2);
  CHECK_FALSE(std::filesystem::exists(folder.path() + "/metrics.jsonl"));
  CHECK_FALSE(files.flush());
  add_step(files, 3);
  files.add_epoch(0, epoch_row(0), "[0]\n", "{}\n");
  CHECK_FALSE(files.flush());
  CHECK_FALSE(files.flush());
  CHECK(read_text(folder.path() + "/metrics.jsonl") ==
        step_row(1) + "\n" + step_row(2) + "\n" + step_row(3) + "\n");
  CHECK(read_text(folder.path() + "/timing.jsonl") ==
        timing_row(1) + "\n" + timing_row(2) + "\n" + timing_row(3) + "\n");
  CHECK(read_text(folder.path() + "/log.txt") == epoch_row(0) + "\n");
  CHECK(read_text(folder.path() + "/epoch0.json") == "[0]\n");
  CHECK(event_files(folder.path()).empty());
}

TEST_CASE("rows are shown before they are flushed, once, and end as they would without") {
  const TempFolder folder, other;
  ResultFiles shown(folder.path(), true), unseen(other.path(), true);
  const auto text = [&](const char* name) { return read_text(folder.path() + "/" + name); };
  const char* events = "events.out.tfevents.000001";
  add_step(shown, 1);
  shown.show();
  shown.show();
  CHECK(text("metrics.jsonl") == step_row(1) + "\n");
  CHECK(text("timing.jsonl") == timing_row(1) + "\n");
  const size_t first = text(events).size();
  add_step(shown, 2);
  CHECK(text("metrics.jsonl") == step_row(1) + "\n");
  shown.show();
  CHECK(text("metrics.jsonl") == step_row(1) + "\n" + step_row(2) + "\n");
  CHECK(text(events).size() > first);
  shown.add_epoch(0, epoch_row(0), "[0]", "{}");
  shown.show();
  CHECK_FALSE(std::filesystem::exists(folder.path() + "/log.txt"));
  CHECK_FALSE(shown.flush());
  add_step(unseen, 1);
  add_step(unseen, 2);
  unseen.add_epoch(0, epoch_row(0), "[0]", "{}");
  CHECK_FALSE(unseen.flush());
  for (const char* name : {"metrics.jsonl", "timing.jsonl", "log.txt", events}) {
    CAPTURE(name);
    CHECK(text(name) == read_text(other.path() + "/" + name));
  }
}

TEST_CASE("what was shown and is newer than the checkpoint goes when a run is resumed") {
  const TempFolder folder;
  {
    ResultFiles killed(folder.path(), true);
    add_step(killed, 1);
    CHECK_FALSE(killed.flush());
    add_step(killed, 2);
    killed.show();
  }
  ResultFiles resumed(folder.path(), true);
  resumed.resume_at(1, 0);
  CHECK(read_text(folder.path() + "/metrics.jsonl") == step_row(1) + "\n");
  add_step(resumed, 2);
  resumed.show();
  CHECK(read_text(folder.path() + "/metrics.jsonl") == step_row(1) + "\n" + step_row(2) + "\n");
  EventClock clock;
  CHECK(read_text(folder.path() + "/events.out.tfevents.000002") ==
        render_event_file(folder.path(), clock));
}

TEST_CASE("what cannot be shown is kept, and comes once when there is room") {
  if (!std::filesystem::exists("/dev/full")) FAIL("this test needs /dev/full");
  const TempFolder folder;
  const std::string path = folder.path() + "/metrics.jsonl";
  std::filesystem::create_symlink("/dev/full", path);
  ResultFiles files(folder.path(), false);
  add_step(files, 1);
  files.show();
  std::filesystem::remove(path);
  files.show();
  CHECK(read_text(path) == step_row(1) + "\n");
  // Shown, and then lost before it was synced: all of it is written again.
  add_step(files, 2);
  files.show();
  std::filesystem::remove(path);
  std::filesystem::create_symlink("/dev/full", path);
  add_step(files, 3);
  CHECK(files.flush());
  std::filesystem::remove(path);
  CHECK_FALSE(files.flush());
  CHECK(read_text(path) == step_row(1) + "\n" + step_row(2) + "\n" + step_row(3) + "\n");
}

TEST_CASE("resuming drops rows that are newer than the checkpoint and lines that are not whole") {
  const TempFolder folder;
  folder.write("metrics.jsonl", step_row(1) + "\n" + step_row(2) +
                                    "\nnoise\n[1]\n{\"step\":\"1\"}\n" + step_row(3) + "\n{\"st");
  folder.write("timing.jsonl", timing_row(1) + "\n" + timing_row(2) + "\n" + timing_row(3) + "\n");
  folder.write("log.txt", epoch_row(0) + "\n" + epoch_row(1) + "\n");
  ResultFiles files(folder.path(), false);
  files.resume_at(2, 1);
  CHECK(read_text(folder.path() + "/metrics.jsonl") == step_row(1) + "\n" + step_row(2) + "\n");
  CHECK(read_text(folder.path() + "/timing.jsonl") == timing_row(1) + "\n" + timing_row(2) + "\n");
  CHECK(read_text(folder.path() + "/log.txt") == epoch_row(0) + "\n");
  files.resume_at(0, 0);
  CHECK(read_text(folder.path() + "/metrics.jsonl").empty());
}

TEST_CASE("resuming where nothing was written yet writes nothing") {
  const TempFolder folder;
  ResultFiles(folder.path(), true).resume_at(5, 5);
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("resuming refuses a file that is no plain file: a pipe would wait for ever") {
  const TempFolder folder;
  std::filesystem::create_symlink("/dev/full", folder.path() + "/metrics.jsonl");
  const auto message = [&]() -> std::string {
    try {
      ResultFiles(folder.path(), true).resume_at(0, 0);
    } catch (const ProgramError& error) {
      return error.what();
    }
    return "";
  }();
  CHECK(contains(message, "metrics.jsonl: is no plain file"));
}

TEST_CASE("an epoch that is evaluated again is in the log once") {
  const TempFolder folder;
  ResultFiles files(folder.path(), false);
  for (int epoch = 0; epoch < 3; ++epoch) files.add_epoch(epoch, epoch_row(epoch, 1), "[]", "");
  CHECK_FALSE(files.flush());
  files.add_epoch(1, epoch_row(1, 2), "[2]", "new");
  CHECK_FALSE(files.flush());
  CHECK(read_text(folder.path() + "/log.txt") == epoch_row(0, 1) + "\n" + epoch_row(1, 2) + "\n");
  CHECK(read_text(folder.path() + "/epoch1.json") == "[2]");
  CHECK(read_text(folder.path() + "/questions.jsonl") == "new");
}

TEST_CASE("the calibration is that of the newest epoch, and of none where answers are hidden") {
  const TempFolder folder;
  ResultFiles files(folder.path(), false);
  const std::string path = folder.path() + "/calibration.json";
  files.add_epoch(0, epoch_row(0), "[]", "", "{}\n");
  files.add_epoch(1, epoch_row(1), "[]", "", "{\"questions\": 1}\n");
  CHECK_FALSE(files.flush());
  CHECK(read_text(path) == "{\"questions\": 1}\n");
  files.add_epoch(2, epoch_row(2), "[]", "");
  CHECK_FALSE(files.flush());
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("what cannot be written is told with its reason, kept, and written later") {
  const TempFolder folder;
  const std::string out = folder.path() + "/out";
  ResultFiles files(out, false);
  add_step(files, 1);
  files.add_epoch(0, epoch_row(0), "[]", "");
  const auto reason = files.flush();
  REQUIRE(reason);
  CHECK(contains(*reason, "out/metrics.jsonl: cannot be written: No such file or directory"));
  add_step(files, 2);
  std::filesystem::create_directory(out);
  CHECK_FALSE(files.flush());
  CHECK(read_text(out + "/metrics.jsonl") == step_row(1) + "\n" + step_row(2) + "\n");
  CHECK(read_text(out + "/log.txt") == epoch_row(0) + "\n");
}

TEST_CASE("a full disk leaves the rows that were there and no half one") {
  if (!std::filesystem::exists("/dev/full")) FAIL("this test needs /dev/full");
  const TempFolder folder;
  std::filesystem::create_symlink("/dev/full", folder.path() + "/metrics.jsonl");
  ResultFiles files(folder.path(), false);
  add_step(files, 1);
  const auto reason = files.flush();
  REQUIRE(reason);
  CHECK(contains(*reason, "No space left on device"));
  std::filesystem::remove(folder.path() + "/metrics.jsonl");
  CHECK_FALSE(files.flush());
  CHECK(read_text(folder.path() + "/metrics.jsonl") == step_row(1) + "\n");
}

TEST_CASE("wherever a run is killed and resumed, its event file is the undisturbed run's") {
  const TempFolder whole;
  ResultFiles undisturbed(whole.path(), true);
  run_to_end(undisturbed, 0, 0);
  REQUIRE(event_files(whole.path()) == std::vector<std::string>{"events.out.tfevents.000001"});
  const std::string expected = read_text(whole.path() + "/events.out.tfevents.000001");
  CHECK(contains(expected, "val/acc"));

  struct Place {
    int64_t step, epoch;
  };
  for (const auto& [step, epoch] :
       {Place{0, 0}, Place{1, 0}, Place{2, 0}, Place{2, 1}, Place{3, 1}, Place{4, 1}}) {
    CAPTURE(step);
    CAPTURE(epoch);
    const TempFolder folder;
    ResultFiles killed(folder.path(), true);
    run_to_end(killed, 0, 0);
    const std::string half = folder.path() + "/events.out.tfevents.000001";
    std::filesystem::resize_file(half, std::filesystem::file_size(half) - 5);
    ResultFiles resumed(folder.path(), true);
    resumed.resume_at(step, epoch);
    run_to_end(resumed, step, epoch);
    CHECK(event_files(folder.path()).size() == 2);
    CHECK(read_text(half).empty());
    CHECK(read_text(folder.path() + "/events.out.tfevents.000002") == expected);
    resumed.resume_at(4, 2);
    CHECK_FALSE(resumed.flush());
    CHECK(event_files(folder.path()).size() == 2);
    CHECK(read_text(folder.path() + "/events.out.tfevents.000003") == expected);
  }
}

TEST_CASE("event files that cannot be written are told, and are whole when they can be") {
  const TempFolder folder;
  std::filesystem::create_directories(folder.path() + "/events.out.tfevents.000001/in-the-way");
  ResultFiles files(folder.path(), true);
  add_step(files, 1);
  CHECK_FALSE(files.flush());  // to the next number
  const std::string path = folder.path() + "/events.out.tfevents.000002";
  const std::string one_step = read_text(path);
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  add_step(files, 2);
  const auto reason = files.flush();
  REQUIRE(reason);
  CHECK(contains(*reason, "tfevents.000002: cannot be written: Is a directory"));
  CHECK(contains(read_text(folder.path() + "/metrics.jsonl"), step_row(2)));
  std::filesystem::remove(path);
  CHECK_FALSE(files.flush());
  EventClock clock;
  const std::string both = render_event_file(folder.path(), clock);
  CHECK(one_step + read_text(path) == both);
  CHECK(clock.step == 2);
}

TEST_CASE("without tensorboard there are no event files, and old ones are left alone") {
  const TempFolder folder;
  folder.write("events.out.tfevents.000007", "old");
  ResultFiles files(folder.path(), false);
  files.resume_at(0, 0);
  run_to_end(files, 0, 0);
  CHECK(event_files(folder.path()) == std::vector<std::string>{"events.out.tfevents.000007"});
}
