// Waiting with an end: asks again and again whether something is done, politely to other threads.
// Used by every wait for other ranks in dist/.
#pragma once

#include <chrono>
#include <thread>

namespace bovila {

/// Asks `done` until it says yes or `limit_s` seconds have passed; returns its last answer. Spins
/// at first, since the ranks of a step are rarely far apart, then leaves the core to others.
template <typename Done>
bool poll_until(double limit_s, Done&& done) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kSpin = std::chrono::milliseconds(2);
  constexpr auto kNap = std::chrono::microseconds(200);
  const auto start = Clock::now();
  while (!done()) {
    const auto waited = Clock::now() - start;
    if (std::chrono::duration<double>(waited).count() > limit_s) return false;
    waited < kSpin ? std::this_thread::yield() : std::this_thread::sleep_for(kNap);
  }
  return true;
}

}  // namespace bovila
