// Signal handlers that set one flag, and a deadline on the steady clock: the wall clock may jump.
#include "bovila/dist/preemption.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "bovila/core/error.h"
#include "bovila/core/system.h"
#include "bovila/dist/communicator.h"

namespace bovila {
namespace {

using Seconds = std::chrono::duration<double>;

// A signal handler reaches nothing else.
std::atomic<int> caught_signal = 0;
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void remember_signal(int signal) {
  caught_signal.store(signal, std::memory_order_relaxed);
}

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

Preemption::Preemption() {
  caught_signal = 0;
  set_signals(RunConfig{}.stop_signals);
  struct sigaction present {};
  sigaction(SIGINT, nullptr, &present);
  const bool is_ignored = present.sa_handler == SIG_IGN;  // as a shell does for jobs behind it
  if (isatty(STDERR_FILENO) != 0 && !is_ignored) {
    catch_signal(SIGINT, static_cast<int>(SA_RESETHAND));
  }
}

void Preemption::stand_down() {
  for (const auto& [signal, action] : before_) sigaction(signal, &action, nullptr);
  before_.clear();
  deadline_.reset();
}

void Preemption::catch_signal(int signal, int flags) {
  struct sigaction action {};
  action.sa_handler = remember_signal;
  action.sa_flags = SA_RESTART | flags;
  sigemptyset(&action.sa_mask);
  struct sigaction old {};
  BOVILA_CHECK(sigaction(signal, &action, &old) == 0, "sigaction({}): {}", signal,
               system_message(errno));
  before_.emplace(signal, old);
}

void Preemption::set_signals(const std::vector<std::string>& names) {
  for (const auto& [name, signal] : kSignals) {
    const bool wanted = std::ranges::count(names, name) > 0;
    const auto caught = before_.find(signal);
    if (wanted && caught == before_.end()) catch_signal(signal, 0);
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

StopReason Preemption::requested() const {
  if (const int signal = caught_signal.load(std::memory_order_relaxed)) return {signal};
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
