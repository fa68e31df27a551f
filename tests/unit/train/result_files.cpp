// Rows are there once and whole after kills, and kept in memory while the disk does not take them.
#include "bovila/train/result_files.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "bovila/core/error.h"
#include "tests/unit/config/helpers.h"
#include "tests/unit/data/files.h"

using namespace bovila;
using testing::contains;
using testing::read_text;
using testing::TempFolder;

namespace {

std::string step_row(int64_t step) {
  return "{\"step\":" + std::to_string(step) + "}";
}
std::string epoch_row(int64_t epoch, int mark = 0) {
  return "{\"epoch\":" + std::to_string(epoch) + ",\"mark\":" + std::to_string(mark) + "}";
}

}  // namespace

TEST_CASE("rows come with flush, in order, and only once") {
  const TempFolder folder;
  ResultFiles files(folder.path());
  files.add_step(step_row(1));
  files.add_step(step_row(2));
  CHECK_FALSE(std::filesystem::exists(folder.path() + "/metrics.jsonl"));
  CHECK_FALSE(files.flush());
  files.add_step(step_row(3));
  files.add_epoch(0, epoch_row(0), "[0]\n");
  CHECK_FALSE(files.flush());
  CHECK_FALSE(files.flush());
  CHECK(read_text(folder.path() + "/metrics.jsonl") ==
        step_row(1) + "\n" + step_row(2) + "\n" + step_row(3) + "\n");
  CHECK(read_text(folder.path() + "/log.txt") == epoch_row(0) + "\n");
  CHECK(read_text(folder.path() + "/epoch0.json") == "[0]\n");
}

TEST_CASE("resuming drops rows that are newer than the checkpoint and lines that are not whole") {
  const TempFolder folder;
  folder.write("metrics.jsonl", step_row(1) + "\n" + step_row(2) +
                                    "\nnoise\n[1]\n{\"step\":\"1\"}\n" + step_row(3) + "\n{\"st");
  folder.write("log.txt", epoch_row(0) + "\n" + epoch_row(1) + "\n");
  ResultFiles files(folder.path());
  files.resume_at(2, 1);
  CHECK(read_text(folder.path() + "/metrics.jsonl") == step_row(1) + "\n" + step_row(2) + "\n");
  CHECK(read_text(folder.path() + "/log.txt") == epoch_row(0) + "\n");
  files.resume_at(0, 0);
  CHECK(read_text(folder.path() + "/metrics.jsonl").empty());
}

TEST_CASE("resuming where nothing was written yet writes nothing") {
  const TempFolder folder;
  ResultFiles(folder.path()).resume_at(5, 5);
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("resuming refuses a file that is no plain file: a pipe would wait for ever") {
  const TempFolder folder;
  std::filesystem::create_symlink("/dev/full", folder.path() + "/metrics.jsonl");
  const auto message = [&]() -> std::string {
    try {
      ResultFiles(folder.path()).resume_at(0, 0);
    } catch (const ProgramError& error) {
      return error.what();
    }
    return "";
  }();
  CHECK(contains(message, "metrics.jsonl: is no plain file"));
}

TEST_CASE("an epoch that is evaluated again is in the log once") {
  const TempFolder folder;
  ResultFiles files(folder.path());
  for (int epoch = 0; epoch < 3; ++epoch) files.add_epoch(epoch, epoch_row(epoch, 1), "[]");
  CHECK_FALSE(files.flush());
  files.add_epoch(1, epoch_row(1, 2), "[2]");
  CHECK_FALSE(files.flush());
  CHECK(read_text(folder.path() + "/log.txt") == epoch_row(0, 1) + "\n" + epoch_row(1, 2) + "\n");
  CHECK(read_text(folder.path() + "/epoch1.json") == "[2]");
}

TEST_CASE("what cannot be written is told with its reason, kept, and written later") {
  const TempFolder folder;
  const std::string out = folder.path() + "/out";
  ResultFiles files(out);
  files.add_step(step_row(1));
  files.add_epoch(0, epoch_row(0), "[]");
  const auto reason = files.flush();
  REQUIRE(reason);
  CHECK(contains(*reason, "out/metrics.jsonl: cannot be written: No such file or directory"));
  files.add_step(step_row(2));
  std::filesystem::create_directory(out);
  CHECK_FALSE(files.flush());
  CHECK(read_text(out + "/metrics.jsonl") == step_row(1) + "\n" + step_row(2) + "\n");
  CHECK(read_text(out + "/log.txt") == epoch_row(0) + "\n");
}

TEST_CASE("a full disk leaves the rows that were there and no half one") {
  if (!std::filesystem::exists("/dev/full")) FAIL("this test needs /dev/full");
  const TempFolder folder;
  std::filesystem::create_symlink("/dev/full", folder.path() + "/metrics.jsonl");
  ResultFiles files(folder.path());
  files.add_step(step_row(1));
  const auto reason = files.flush();
  REQUIRE(reason);
  CHECK(contains(*reason, "No space left on device"));
  std::filesystem::remove(folder.path() + "/metrics.jsonl");
  CHECK_FALSE(files.flush());
  CHECK(read_text(folder.path() + "/metrics.jsonl") == step_row(1) + "\n");
}
