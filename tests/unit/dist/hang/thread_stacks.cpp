// Stacks of threads that sleep, run and start nothing.
#include "bovila/dist/hang/thread_stacks.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>

using namespace bovila;

namespace {

std::atomic<bool> spins = true;

bool names(const ThreadStack& stack, const std::string& part) {
  return std::ranges::any_of(
      stack.frames, [&](const auto& frame) { return frame.find(part) != std::string::npos; });
}

}  // namespace

// Outside of the namespace above: a name that the program's table shows.
__attribute__((noinline)) void spin_until_told_for_the_test(std::atomic<int>& id) {
  id = gettid();
  while (spins) {
  }
  id = 0;
}

TEST_CASE("each thread is where it is, by name") {
  const ThreadStacks stacks;
  std::atomic<int> id = 0;
  std::thread thread(spin_until_told_for_the_test, std::ref(id));
  while (id == 0) std::this_thread::yield();
  const auto taken = ThreadStacks::take();
  const int other = id;
  spins = false;
  thread.join();
  const auto found = std::ranges::find(taken, other, &ThreadStack::id);
  REQUIRE(found != taken.end());
  CHECK(names(*found, "spin_until_told_for_the_test"));
  CHECK(found->state == "R");
  CHECK(taken.front().id == getpid());
  const auto own = std::ranges::find(taken, gettid(), &ThreadStack::id);
  REQUIRE(own != taken.end());
  CHECK(names(*own, "ThreadStacks::take"));
}
