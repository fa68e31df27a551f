// A handler that writes addresses into memory that it was given; names are looked up afterwards.
#include "bovila/dist/hang/thread_stacks.h"

#include <execinfo.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include "src/dist/hang/symbols.h"

namespace bovila {
namespace {

namespace fs = std::filesystem;

constexpr int kAsk = SIGURG;
constexpr int kMaxFrames = 64;
constexpr int kFramesOfSignal = 2;  // the handler, and what called it

/// What a thread is asked to fill in.
struct Walk {
  std::array<void*, kMaxFrames> addresses{};
  int count = 0;
  std::atomic<bool> is_done = false;
};

void walk_here(Walk& walk) {
  walk.count = backtrace(walk.addresses.data(), kMaxFrames);
  walk.is_done.store(true, std::memory_order_release);
}

extern "C" void walk_own_stack(int, siginfo_t* info, void*) {
  if (info->si_code != SI_QUEUE || info->si_pid != getpid()) return;
  const int error = errno;
  walk_here(*static_cast<Walk*>(info->si_value.sival_ptr));
  errno = error;
}

bool ask(int thread, Walk& walk) {
  siginfo_t info{};
  info.si_signo = kAsk;
  info.si_code = SI_QUEUE;
  info.si_pid = getpid();
  info.si_uid = getuid();
  info.si_value.sival_ptr = &walk;
  return syscall(SYS_rt_tgsigqueueinfo, getpid(), thread, kAsk, &info) == 0;
}

bool has_answered(const Walk& walk) {
  constexpr auto kNap = std::chrono::microseconds(200);
  constexpr int kNaps = 1000;
  for (int nap = 0; nap < kNaps && !walk.is_done.load(std::memory_order_acquire); ++nap) {
    std::this_thread::sleep_for(kNap);
  }
  return walk.is_done.load(std::memory_order_acquire);
}

std::vector<std::string> frames_of(int thread) {
  auto walk = std::make_unique<Walk>();
  if (thread == gettid()) {
    walk_here(*walk);
  } else if (ask(thread, *walk) && !has_answered(*walk)) {
    static_cast<void>(walk.release());  // the thread may answer yet, and write there
    return {};
  }
  const int first = thread == gettid() ? 0 : kFramesOfSignal;
  std::vector<std::string> frames;
  for (int i = first; i < walk->count; ++i) {
    frames.push_back(symbol_text(walk->addresses[static_cast<size_t>(i)]));
  }
  return frames;
}

std::string first_line_of(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace

ThreadStacks::ThreadStacks() {
  void* address = nullptr;
  backtrace(&address, 1);  // the first call loads a library, which no handler may do
  struct sigaction action {};
  action.sa_sigaction = walk_own_stack;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(kAsk, &action, nullptr);
}

std::vector<ThreadStack> ThreadStacks::take() {
  std::vector<ThreadStack> stacks;
  std::error_code error;
  fs::directory_iterator tasks("/proc/self/task", error);
  for (; !error && tasks != fs::directory_iterator(); tasks.increment(error)) {
    ThreadStack stack;
    stack.id = std::atoi(tasks->path().filename().c_str());
    stack.name = first_line_of(tasks->path() / "comm");
    const auto words = stat_words(tasks->path() / "stat");
    stack.state = words.empty() ? "" : words.front();
    stack.frames = frames_of(stack.id);
    stacks.push_back(std::move(stack));
  }
  std::ranges::sort(stacks, {}, &ThreadStack::id);
  return stacks;
}

}  // namespace bovila
