// Signals, limits and what they are called. Agreement between ranks: tests/mpi.
#include "bovila/dist/preemption.h"

#include <doctest/doctest.h>

using namespace bovila;
using std::chrono::system_clock;

namespace {

const auto kNow = system_clock::time_point(std::chrono::seconds(1'000'000));

double seconds_left(double limit_minutes, double before_s, std::string_view slurm_end) {
  RunConfig config;
  config.time_limit_minutes = limit_minutes;
  config.stop_before_limit_s = before_s;
  const auto left = time_to_stop(config, slurm_end, kNow);
  return left ? left->count() : -1;
}

}  // namespace

TEST_CASE("no signal and no limit is no reason to stop") {
  const Preemption preemption;
  CHECK_FALSE(preemption.requested());
  CHECK_NOTHROW(preemption.check());
  CHECK(StopReason{}.text() == "nothing");
}

TEST_CASE("each of the deck's signals is a request and has its name") {
  for (const int signal : {SIGTERM, SIGUSR1, SIGUSR2, SIGHUP}) {
    const Preemption preemption;
    std::raise(signal);
    CHECK(preemption.requested().code == signal);
    CHECK_THROWS_AS(preemption.check(), StopRequested);
  }
  CHECK(StopReason{SIGTERM}.text() == "SIGTERM");
  CHECK(StopReason{StopReason::kTimeLimit}.text() == "its time limit");
  CHECK(StopRequested({SIGUSR2}).what() == std::string("stopped by SIGUSR2"));
}

TEST_CASE("only the signals that the deck names are caught, and all are given back") {
  struct sigaction during {
  }, after{};
  std::signal(SIGUSR1, SIG_IGN);
  {
    Preemption preemption;
    RunConfig config;
    config.stop_signals = {"HUP"};
    preemption.configure(config);
    sigaction(SIGUSR1, nullptr, &during);
    CHECK((during.sa_handler == SIG_IGN));
    std::raise(SIGUSR1);
    CHECK_FALSE(preemption.requested());
    std::raise(SIGHUP);
    CHECK(preemption.requested().code == SIGHUP);
  }
  sigaction(SIGHUP, nullptr, &after);
  CHECK((after.sa_handler == SIG_DFL));
  std::signal(SIGUSR1, SIG_DFL);
}

TEST_CASE("a signal that came before the object counts, and is given back as it was before") {
  catch_stop_signals_early();
  std::raise(SIGUSR2);
  std::raise(SIGHUP);
  {
    const Preemption preemption;
    CHECK(preemption.requested().code == SIGHUP);
  }
  for (const int signal : {SIGTERM, SIGUSR1, SIGUSR2, SIGHUP}) {
    struct sigaction after {};
    sigaction(signal, nullptr, &after);
    CHECK((after.sa_handler == SIG_DFL));
  }
  CHECK_FALSE(Preemption().requested());
}

TEST_CASE("a hangup that is ignored stays so, early and later") {
  std::signal(SIGHUP, SIG_IGN);
  catch_stop_signals_early();
  const Preemption preemption;
  std::raise(SIGHUP);
  CHECK_FALSE(preemption.requested());
  std::signal(SIGHUP, SIG_DFL);
}

TEST_CASE("a command asks as a signal does, and a reader that is gone does not end the program") {
  const Preemption preemption;
  std::raise(SIGPIPE);
  CHECK_FALSE(preemption.requested());
  Preemption::request({StopReason::kCommand});
  CHECK(preemption.requested().text() == "`bovila stop`");
  CHECK_THROWS_AS(preemption.check(), StopRequested);
}

TEST_CASE("a limit is stopped for in time, and the earlier of two counts") {
  CHECK(seconds_left(0, 120, "") == -1);
  CHECK(seconds_left(60, 120, "") == 3600 - 120);
  CHECK(seconds_left(0, 120, "1001000") == 1000 - 120);
  CHECK(seconds_left(60, 120, "1001000") == 1000 - 120);
  CHECK(seconds_left(1, 20, "1001000") == 40);
}

TEST_CASE("a limit that is near leaves half of its time for work") {
  CHECK(seconds_left(0, 120, "1000100") == 50);
  CHECK(seconds_left(0, 120, "999000") == 0);
}

TEST_CASE("a limit that is farther than clocks count is no reason to stop now") {
  CHECK(seconds_left(1e7, 120, "") == 6e8 - 120);
  CHECK(seconds_left(0, 120, "9000000000000000000") == 1e9 - 120);
  Preemption preemption;
  RunConfig config;
  config.time_limit_minutes = 1e300;
  preemption.configure(config);
  CHECK_FALSE(preemption.requested());
}

TEST_CASE("an end of the job that is no number is no limit") {
  for (const char* text : {"soon", "12x", "-5", "0", "99999999999999999999"}) {
    CAPTURE(text);
    CHECK(seconds_left(0, 120, text) == -1);
  }
}

TEST_CASE("a deadline in the past is a request") {
  Preemption preemption;
  RunConfig config;
  config.time_limit_minutes = 1e-9;
  config.stop_before_limit_s = 0;
  preemption.configure(config);
  while (!preemption.requested()) {
  }
  CHECK(preemption.requested().code == StopReason::kTimeLimit);
}
