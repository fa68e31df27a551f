// Signal handlers that set one flag, and a deadline on the steady clock: the wall clock may jump.
#include "bovila/dist/preemption.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <iterator>
#include <utility>

#include "bovila/core/error.h"
#include "bovila/core/system.h"
#include "bovila/dist/communicator.h"

namespace bovila {
namespace {

using Seconds = std::chrono::duration<double>;

// A signal handler reaches nothing else. The code of a StopReason.
std::atomic<int> asked_by = 0;
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void remember_signal(int signal) {
  asked_by.store(signal, std::memory_order_relaxed);
}

bool is_ignored(int signal) {
  struct sigaction present {};
  return sigaction(signal, nullptr, &present) == 0 && present.sa_handler == SIG_IGN;
}

/// nohup and its kin: a run that is to outlive its terminal.
bool must_stay_ignored(int signal) {
  return signal == SIGHUP && is_ignored(signal);
}

struct sigaction action_of(void (*handler)(int), int flags) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART | flags;
  sigemptyset(&action.sa_mask);
  return action;
}

// What was in force before catch_stop_signals_early(), for the signals that it caught.
constexpr int kEarly[] = {SIGTERM, SIGUSR1, SIGUSR2, SIGHUP};
struct sigaction before_early[std::size(kEarly)];
bool is_early[std::size(kEarly)];

struct SignalName {
  std::string_view name;
  int signal;
};
constexpr SignalName kSignals[] = {
    {"TERM", SIGTERM}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"HUP", SIGHUP}, {"XCPU", SIGXCPU}};

}  // namespace

std::string StopReason::text() const {
  if (code == 0) return "nothing";
  if (code == kTimeLimit) return "its time limit";
  if (code == kCommand) return "`bovila stop`";
  const char* name = sigabbrev_np(static_cast<int>(code));
  return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", code);
}

StopRequested::StopRequested(const StopReason& reason)
    : std::runtime_error(fmt::format("stopped by {}", reason.text())) {}

std::optional<Seconds> time_to_stop(const RunConfig& config, std::string_view slurm_end,
                                    std::chrono::system_clock::time_point now) {
  std::optional<Seconds> left;
  if (config.time_limit_minutes > 0) left = Seconds(config.time_limit_minutes * 60);
  int64_t end = 0;
  const char* text_end = slurm_end.data() + slurm_end.size();
  const auto parsed = std::from_chars(slurm_end.data(), text_end, end);
  if (parsed.ec == std::errc() && parsed.ptr == text_end && end > 0) {
    const Seconds until = Seconds(static_cast<double>(end)) - now.time_since_epoch();
    left = left ? std::min(*left, until) : until;
  }
  if (!left) return std::nullopt;
  constexpr Seconds kFar(1e9);  // a deadline in nanoseconds has room for it
  const Seconds limit = std::clamp(*left, Seconds(0), kFar);
  return limit - std::min(Seconds(config.stop_before_limit_s), limit / 2);
}

extern "C" void catch_stop_signals_early() {
  const auto action = action_of(remember_signal, 0);
  for (size_t i = 0; i < std::size(kEarly); ++i) {
    is_early[i] =
        !must_stay_ignored(kEarly[i]) && sigaction(kEarly[i], &action, &before_early[i]) == 0;
  }
}

Preemption::Preemption() {
  bool was_early = false;
  for (size_t i = 0; i < std::size(kEarly); ++i) {
    if (!std::exchange(is_early[i], false)) continue;
    before_.emplace(kEarly[i], before_early[i]);
    was_early = true;
  }
  if (!was_early) asked_by = 0;
  set_signals(RunConfig{}.stop_signals);
  set_action(SIGPIPE, action_of(SIG_IGN, 0));
  // A shell has jobs behind it ignore INT.
  if (isatty(STDERR_FILENO) != 0 && !is_ignored(SIGINT)) {
    set_action(SIGINT, action_of(remember_signal, static_cast<int>(SA_RESETHAND)));
  }
}

void Preemption::stand_down() {
  for (const auto& [signal, action] : before_) sigaction(signal, &action, nullptr);
  before_.clear();
  deadline_.reset();
}

void Preemption::set_action(int signal, const struct sigaction& action) {
  struct sigaction old {};
  BOVILA_CHECK(sigaction(signal, &action, &old) == 0, "sigaction({}): {}", signal,
               system_message(errno));
  before_.emplace(signal, old);
}

void Preemption::set_signals(const std::vector<std::string>& names) {
  for (const auto& [name, signal] : kSignals) {
    const bool wanted = std::ranges::count(names, name) > 0;
    const auto caught = before_.find(signal);
    if (wanted && caught == before_.end() && !must_stay_ignored(signal)) {
      set_action(signal, action_of(remember_signal, 0));
    }
    if (!wanted && caught != before_.end()) {
      sigaction(signal, &caught->second, nullptr);
      before_.erase(caught);
    }
  }
}

void Preemption::configure(const RunConfig& config) {
  set_signals(config.stop_signals);
  const std::string slurm_end = environment("SLURM_JOB_END_TIME");
  const auto left = time_to_stop(config, slurm_end, std::chrono::system_clock::now());
  deadline_.reset();
  if (!left) return;
  using Clock = std::chrono::steady_clock;
  deadline_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(*left);
}

void Preemption::request(const StopReason& reason) {
  asked_by.store(static_cast<int>(reason.code), std::memory_order_relaxed);
}

StopReason Preemption::requested() const {
  if (const int code = asked_by.load(std::memory_order_relaxed)) return {code};
  const bool is_late = deadline_ && std::chrono::steady_clock::now() >= *deadline_;
  return {is_late ? StopReason::kTimeLimit : 0};
}

StopReason Preemption::agreed(Communicator& ranks) const {
  return {ranks.max(requested().code)};
}

void Preemption::check() const {
  if (const StopReason reason = requested()) throw StopRequested(reason);
}

}  // namespace bovila
