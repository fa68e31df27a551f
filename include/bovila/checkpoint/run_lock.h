// One training run at a time in an output folder, on whatever machine; and the way to end it.
// Fed by src/main/run.cpp on rank 0, and by `bovila stop`; what reads the folder only (--eval,
// --check) does not ask for it.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <thread>

namespace bovila {

/// Holds FOLDER/run.lock, a line of JSON that says who runs there: host, process, Slurm job.
/// Removed when it is destroyed; what a killed run left is recognised and taken over:
///   - the kernel drops flock() with the process that holds it, so on one host, and on file systems
///     that share locks among hosts (NFS, Lustre with -o flock, ...), nobody's lock is a dead one;
///   - where flock() is not to be had, a process of this host is looked up by number and start
///     time;
///   - the file of another host, or of a container with process numbers of its own, is alive when
///     its time changes: its run touches it every `beat`. It is watched for three beats, on no
///     clock but that of the watcher;
///   - a requeued Slurm job takes over from its own former life at once, whatever else says.
/// A further line, {"stop": HOLDER}, is a request to end. It names the holder that it is for, so
/// that it is no one else's; the file is opened anew each time, as NFS wants it.
class RunLock {
 public:
  static constexpr std::chrono::milliseconds kBeat{5000};

  /// Makes `folder` where it is missing. @throws UserError naming the holder and what to do when
  /// the folder is in use, ProgramError when the file cannot be made.
  /// `on_stop`: called on another thread, once, when request_stop() asks this run to end.
  explicit RunLock(const std::filesystem::path& folder, std::chrono::milliseconds beat = kBeat,
                   std::function<void()> on_stop = {});
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  void keep_alive(const std::stop_token& stop, std::chrono::milliseconds beat) const;

  std::filesystem::path path_;
  std::string holder_;  ///< the file's first line
  std::function<void()> on_stop_;
  int descriptor_ = -1;
  std::jthread heart_;  // last: it uses the above
};

/// Asks the run that holds the lock of `folder`, on whatever host, to save its state and end, and
/// waits until it has ended, saying in the log what it waits for. `beat` is the run's.
/// @throws UserError when nobody holds it, or it is not to be written to, or its holder does not
/// answer for three beats.
void stop_run(const std::filesystem::path& folder, std::chrono::milliseconds beat = RunLock::kBeat);

}  // namespace bovila
