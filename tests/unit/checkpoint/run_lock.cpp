// Whose folder it is, whoever left what in it.
#include "bovila/checkpoint/run_lock.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "bovila/core/error.h"
#include "bovila/dist/polling.h"
#include "tests/unit/checkpoint/checkpoint_helpers.h"
#include "tests/unit/checkpoint/log_capture.h"

using namespace bovila;
using namespace bovila::testing;
namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

constexpr std::chrono::milliseconds kBeat{1000};  // a busy machine may let a heart miss two

/// Who holds a folder, as its file says.
Json holder_of(const fs::path& folder) {
  return Json::parse(read_text(folder / "run.lock"));
}

/// A file that a run has left, or holds, on another host.
void put_holder(const fs::path& folder, const std::string& job = "", int restarts = 0) {
  put(folder / "run.lock", Json({{"host", "elsewhere"},
                                 {"pid", 1},
                                 {"started", "x 1"},
                                 {"slurm_job", job},
                                 {"slurm_restarts", restarts}})
                               .dump());
}

std::string refusal(const fs::path& folder) {
  return error_of([&] { RunLock(folder, kBeat); });
}

/// Touches the file until destroyed, as a living run does.
class Heart {
 public:
  explicit Heart(const fs::path& file)
      : thread_([file](const std::stop_token& stop) {
          while (!stop.stop_requested()) {
            std::error_code ignored;  // the lock may have gone, and its file with it
            fs::last_write_time(file, fs::file_time_type::clock::now(), ignored);
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
          }
        }) {}

 private:
  std::jthread thread_;
};

/// Slurm's variables of this process, put back at the end.
struct SlurmJob {
  SlurmJob(const char* job, const char* restarts) {
    setenv("SLURM_JOB_ID", job, 1);
    setenv("SLURM_RESTART_COUNT", restarts, 1);
  }
  ~SlurmJob() {
    unsetenv("SLURM_JOB_ID");
    unsetenv("SLURM_RESTART_COUNT");
  }
};

}  // namespace

TEST_CASE("a folder is made, held by one run at a time, and free again after it") {
  const TemporaryFolder temporary;
  const fs::path folder = temporary / "new/out";
  {
    const RunLock lock(folder, kBeat);
    CHECK(holder_of(folder)["pid"] == getpid());
    const std::string message = refusal(folder);
    CHECK(contains(message, folder.string() + " is in use by another run: process "));
    CHECK(contains(message, "choose another folder with --output"));
    CHECK(contains(message, "delete " + (folder / "run.lock").string()));
  }
  CHECK_FALSE(fs::exists(folder / "run.lock"));
  CHECK(refusal(folder) == "no error");
}

TEST_CASE("a process that was killed leaves a lock that the next run takes at once") {
  const TemporaryFolder temporary;
  const fs::path folder = temporary / "out";
  const pid_t child = fork();
  if (child == 0) {
    const RunLock lock(folder, kBeat);
    raise(SIGKILL);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  REQUIRE(holder_of(folder)["pid"] == child);
  const RunLock lock(folder, kBeat);
  CHECK(holder_of(folder)["pid"] == getpid());
}

TEST_CASE("a lock of another host counts while its time changes, and no longer") {
  const TemporaryFolder temporary;
  put_holder(temporary / "");
  {
    const Heart heart(temporary / "run.lock");
    CHECK(contains(refusal(temporary / ""), "process 1 on elsewhere"));
    CHECK(holder_of(temporary / "")["host"] == "elsewhere");
  }
  const RunLock lock(temporary / "", kBeat);
  CHECK(holder_of(temporary / "")["pid"] == getpid());
}

TEST_CASE("a held lock shows a heartbeat") {
  const TemporaryFolder temporary;
  const RunLock lock(temporary / "", kBeat);
  const auto before = fs::last_write_time(temporary / "run.lock");
  CHECK(poll_until(60, [&] { return fs::last_write_time(temporary / "run.lock") > before; }));
}

TEST_CASE("a requeued Slurm job takes over from its former life on another host at once") {
  const TemporaryFolder temporary;
  const SlurmJob job("77", "2");
  put_holder(temporary / "", "77", 1);
  const Heart heart(temporary / "run.lock");
  const auto start = std::chrono::steady_clock::now();
  const RunLock lock(temporary / "", std::chrono::seconds(60));  // not watched: that would be 180 s
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
  CHECK(holder_of(temporary / "")["slurm_restarts"] == 2);
}

TEST_CASE("another job, or another step of the same start of the job, does not take over") {
  const TemporaryFolder temporary;
  const SlurmJob job("77", "2");
  for (const auto& [other, restarts] : {std::pair("78", 1), std::pair("77", 2), std::pair("", 0)}) {
    put_holder(temporary / "", other, restarts);
    const Heart heart(temporary / "run.lock");
    CHECK(contains(refusal(temporary / ""), "is in use by another run"));
  }
}

TEST_CASE("a lock file that is empty or garbage belongs to nobody") {
  const TemporaryFolder temporary;
  for (const char* text : {"", "garbage", "[]", "{\"host\": 3}", "{\"host\": \"elsewhere\"}"}) {
    put(temporary / "run.lock", text);
    CHECK(refusal(temporary / "") == "no error");
  }
}

TEST_CASE("a folder that cannot be made or written to is an error with the system's reason") {
  const TemporaryFolder temporary;
  temporary.write("file", "");
  CHECK(contains(refusal(temporary / "file/out"), "Not a directory"));
  CHECK_THROWS_WITH_AS(RunLock("/proc", kBeat), doctest::Contains("/proc/run.lock: cannot make it"),
                       ProgramError);
}

TEST_CASE("a run is asked to stop through its folder, and whoever asks waits for its end") {
  const TemporaryFolder temporary;
  const LogCapture log;
  std::atomic<int> asked = 0;
  auto lock = std::make_unique<RunLock>(temporary / "c", kBeat, [&] { ++asked; });
  std::jthread run([&] {
    while (asked == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::this_thread::sleep_for(kBeat);  // more looks, the request is still there
    lock.reset();
  });
  stop_run(temporary / "c", kBeat);
  CHECK(asked == 1);
  CHECK_FALSE(fs::exists(temporary / "c/run.lock"));
  CHECK(contains(log.text(), fmt::format("process {} on ", getpid())));
  run.join();
}

TEST_CASE("a request to stop is for the run that it names, and goes with its lock") {
  const TemporaryFolder temporary;
  std::atomic<int> asked = 0;
  const fs::path file = temporary / "run.lock";
  put_holder(temporary / "");
  std::ofstream(file, std::ios::app) << "\n"
                                     << R"({"stop":)"
                                     << "\n";
  {
    const RunLock lock(temporary / "", kBeat, [&] { ++asked; });  // takes the dead one's over
    CHECK(holder_of(temporary / "")["pid"] == getpid());
    std::ofstream(file, std::ios::app) << R"({"stop":{"host":"elsewhere","pid":1}})"
                                       << "\nnoise\n";
    std::this_thread::sleep_for(kBeat);
  }
  CHECK(asked == 0);
}

TEST_CASE("where nobody runs there is nothing to stop") {
  const TemporaryFolder temporary;
  const LogCapture log;
  CHECK(contains(error_of([&] { stop_run(temporary / "", kBeat); }), "no run trains in "));
  put(temporary / "run.lock", "");
  CHECK(contains(error_of([&] { stop_run(temporary / "", kBeat); }), "is not the lock of a run"));
  put_holder(temporary / "", "77");
  constexpr std::chrono::milliseconds kShort{20};
  CHECK(contains(error_of([&] { stop_run(temporary / "", kShort); }),
                 "process 1 on elsewhere, Slurm job 77 does not answer: its "));
  CHECK(contains(log.text(), "scancel 77 keeps it from that"));
}
