// Where each thread of this process is. Fed by the kernel; used by dist/hang/hang_reporter.h.
#pragma once

#include <string>
#include <vector>

namespace bovila {

struct ThreadStack {
  int id = 0;                       ///< the kernel's
  std::string name;                 ///< the thread's
  std::string state;                ///< the kernel's letter: R runs, S sleeps, D waits for a disk
  std::vector<std::string> frames;  ///< "bovila::train_step(...) + 0x1f2 (bovila)", inmost first
};

/// Has each thread be interrupted, by SIGURG, which is ignored where nobody listens, for as long as
/// it takes to walk up its own stack. One at a time in a process.
class ThreadStacks {
 public:
  ThreadStacks();
  /// Threads that are still asked are left alone: the handler stays.
  ~ThreadStacks() = default;
  ThreadStacks(const ThreadStacks&) = delete;
  ThreadStacks& operator=(const ThreadStacks&) = delete;

  /// Of all threads, the process's first one first. One that does not answer within a fifth of a
  /// second, as it waits for a disk, has no frames. Takes milliseconds a thread.
  static std::vector<ThreadStack> take();
};

}  // namespace bovila
