// flock() first, what the file says second, the file's heartbeat last. Requests to stop.
#include "bovila/checkpoint/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "bovila/core/descriptor.h"
#include "bovila/core/error.h"
#include "bovila/core/log.h"
#include "bovila/core/system.h"

namespace bovila {
namespace {

namespace fs = std::filesystem;
using Milliseconds = std::chrono::milliseconds;

constexpr const char* kFile = "run.lock";
constexpr int kMaxAttempts = 10;
constexpr int kBeatsToWait = 3;
constexpr int kLooksPerBeat = 5;  // at requests to stop

/// Who runs in a folder. Texts are empty where unknown.
struct Holder {
  std::string host;
  int64_t pid = 0;
  std::string started;  // the machine's boot and the process's start since then
  std::string space;    // the process numbers that `pid` is one of: a container has its own
  std::string job;      // Slurm's
  int64_t restarts = 0;
};

/// "pid:[4026531836]".
std::string process_space() {
  std::error_code ignored;
  return fs::read_symlink("/proc/self/ns/pid", ignored).string();
}

/// Empty when there is no such process.
std::string start_of(int64_t pid) {
  const auto words = stat_words(fmt::format("/proc/{}/stat", pid));
  if (words.size() <= kStartTicks || words[0] == "Z" || words[0] == "X") return "";
  std::string boot = file_bytes("/proc/sys/kernel/random/boot_id");
  while (!boot.empty() && boot.back() == '\n') boot.pop_back();
  return fmt::format("{} {}", boot, words[kStartTicks]);
}

int64_t to_number(const std::string& text) {
  int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

Holder this_process() {
  return {host_name(),
          getpid(),
          start_of(getpid()),
          process_space(),
          environment("SLURM_JOB_ID"),
          to_number(environment("SLURM_RESTART_COUNT"))};
}

std::string to_line(const Holder& holder) {
  const nlohmann::ordered_json json = {
      {"host", holder.host},   {"pid", holder.pid},       {"started", holder.started},
      {"space", holder.space}, {"slurm_job", holder.job}, {"slurm_restarts", holder.restarts}};
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

std::string request_for(const std::string& holder_line) {
  return R"({"stop":)" + holder_line + "}\n";
}

/// A holder without a host for what is no such file, or not yet.
Holder read_holder(const fs::path& path) {
  const auto json =
      nlohmann::json::parse(first_line(file_bytes(path)), nullptr, /*allow_exceptions=*/false);
  try {
    return {json.at("host"),         json.at("pid"),       json.at("started"),
            json.value("space", ""), json.at("slurm_job"), json.at("slurm_restarts")};
  } catch (const nlohmann::json::exception&) {
    return {};
  }
}

bool is_former_life(const Holder& holder, const Holder& me) {
  return !me.job.empty() && holder.job == me.job && holder.restarts < me.restarts;
}

/// The file's time of change; opened anew, for else NFS answers from its cache.
std::pair<int64_t, int64_t> time_of(const fs::path& path) {
  struct stat status {};
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  fstat(file, &status);
  close(file);
  return {status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

bool beats(const fs::path& path, const Holder& holder, Milliseconds beat) {
  log::info("{}: left by a run on {}; looking for {:.0f} s whether it still runs", path.string(),
            holder.host.empty() ? "another host" : holder.host,
            std::chrono::duration<double>(kBeatsToWait * beat).count());
  const auto before = time_of(path);
  const auto end = std::chrono::steady_clock::now() + kBeatsToWait * beat;
  while (std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(beat / 10);
    if (time_of(path) != before) return true;
  }
  return false;
}

enum class Kernel { kOurs, kAnothers, kHasNoLocks };

Kernel ask_kernel(int file) {
  int result = 0;
  do {
    result = flock(file, LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return Kernel::kOurs;
  return errno == EWOULDBLOCK ? Kernel::kAnothers : Kernel::kHasNoLocks;
}

/// Whether the run lives that the file tells of.
bool is_in_use(const fs::path& path, Kernel kernel, const Holder& holder, const Holder& me,
               Milliseconds beat) {
  if (kernel == Kernel::kAnothers) return true;
  if (kernel == Kernel::kOurs && (holder.host.empty() || holder.host == me.host)) return false;
  if (holder.host == me.host && holder.space == me.space) {
    return !holder.started.empty() && start_of(holder.pid) == holder.started;
  }
  return beats(path, holder, beat);
}

std::string to_text(const Holder& holder) {
  const std::string job = holder.job.empty() ? "" : fmt::format(", Slurm job {}", holder.job);
  return fmt::format("process {} on {}{}", holder.pid, holder.host, job);
}

[[noreturn]] void refuse(const fs::path& path, const Holder& holder) {
  const std::string folder = path.parent_path().string();
  throw UserError(
      "output.folder {} is in use by another run{}. Wait for its end, stop it (bovila stop {}), or "
      "choose another folder with --output; if you know that it is dead, delete {}",
      folder, holder.host.empty() ? "" : ": " + to_text(holder), folder, path.string());
}

[[noreturn]] void fail(const fs::path& path, const char* action) {
  throw ProgramError("{}: cannot {}: {}", path.string(), action, system_message(errno));
}

/// Whether the name still belongs to the open file: another run may have removed it meanwhile.
bool is_still_there(const fs::path& path, int file) {
  struct stat ours {
  }, there{};
  return fstat(file, &ours) == 0 && stat(path.c_str(), &there) == 0 &&
         ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

/// An open and locked file, or -1 when it has to be tried again.
int try_to_take(const fs::path& path, const Holder& me, Milliseconds beat) {
  int file = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  const bool is_new = file >= 0;
  const int reason = errno;
  if (!is_new && reason == EEXIST) file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0 && errno == ENOENT && reason == EEXIST) return -1;  // removed between the two
  if (file < 0) fail(path, "make it");
  const Kernel kernel = ask_kernel(file);
  const Holder holder = is_new ? Holder{} : read_holder(path);
  const bool ours_before = !is_new && is_former_life(holder, me);
  const bool in_use = (!is_new || kernel == Kernel::kAnothers) && !ours_before &&
                      is_in_use(path, kernel, holder, me, beat);
  // A dead node's lock that a file server keeps for a while stays with the old file.
  const bool needs_new = ours_before && kernel == Kernel::kAnothers;
  if (!in_use && !needs_new && is_still_there(path, file)) return file;
  close(file);
  if (needs_new) unlink(path.c_str());
  if (in_use) refuse(path, holder);
  return -1;
}

void write_holder(int file, const fs::path& path, const std::string& text) {
  const auto size = static_cast<ssize_t>(text.size());
  if (ftruncate(file, 0) != 0 || pwrite(file, text.data(), text.size(), 0) != size) {
    const int reason = errno;
    close(file);
    errno = reason;
    fail(path, "write it");
  }
}

/// Appends the request, for the run of `line` alone.
void ask_to_stop(const fs::path& path, const Holder& holder, const std::string& line) {
  const Descriptor file(open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (file.id < 0 && errno == ENOENT) {
    throw UserError("no run trains in {}: expected the output folder of one, with a file {}",
                    path.parent_path().string(), kFile);
  }
  if (file.id < 0) {
    throw UserError("{}: cannot be written to: {}", path.string(), system_message(errno));
  }
  if (holder.host.empty()) throw UserError("{} is not the lock of a run", path.string());
  const std::string request = "\n" + request_for(line);
  if (write(file.id, request.data(), request.size()) != static_cast<ssize_t>(request.size())) {
    fail(path, "write to it");
  }
}

}  // namespace

RunLock::RunLock(const fs::path& folder, Milliseconds beat, std::function<void()> on_stop)
    : path_(folder / kFile), on_stop_(std::move(on_stop)) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw UserError("output.folder {}: {}", folder.string(), error.message());
  const Holder me = this_process();
  for (int attempt = 0; descriptor_ < 0 && attempt < kMaxAttempts; ++attempt) {
    descriptor_ = try_to_take(path_, me, beat);
  }
  if (descriptor_ < 0) {
    throw ProgramError("{}: other runs come and go too quickly to lock it", path_.string());
  }
  holder_ = to_line(me);
  write_holder(descriptor_, path_, holder_ + "\n");
  heart_ = std::jthread([this, beat](const std::stop_token& stop) { keep_alive(stop, beat); });
}

RunLock::~RunLock() {
  heart_.request_stop();
  heart_.join();
  // Under another name before it is free, so that nobody takes it in between; closed before it is
  // removed, which NFS would otherwise put off.
  const fs::path released = path_.parent_path() / ".run.lock.released";
  const bool renamed =
      is_still_there(path_, descriptor_) && rename(path_.c_str(), released.c_str()) == 0;
  close(descriptor_);
  if (renamed) unlink(released.c_str());
}

void RunLock::keep_alive(const std::stop_token& stop, Milliseconds beat) const {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  bool was_asked = !on_stop_;
  for (int look = 1; !stop.stop_requested(); ++look) {
    never.wait_for(lock, stop, beat / kLooksPerBeat, [] { return false; });
    if (look % kLooksPerBeat == 0) futimens(descriptor_, nullptr);
    if (was_asked || file_bytes(path_).find(request_for(holder_)) == std::string::npos) continue;
    was_asked = true;
    on_stop_();
  }
}

void stop_run(const fs::path& folder, Milliseconds beat) {
  const fs::path path = folder / kFile;
  const Holder holder = read_holder(path);
  const std::string line = first_line(file_bytes(path));
  ask_to_stop(path, holder, line);
  log::info("{} was asked to save its state and end; waiting for that", to_text(holder));
  if (!holder.job.empty()) {
    log::info("a job of jobs/ goes back into the queue then: scancel {} keeps it from that",
              holder.job);
  }
  const auto is_held = [&] { return file_bytes(path).starts_with(line); };
  auto seen = time_of(path);
  auto since = std::chrono::steady_clock::now();
  while (is_held()) {
    std::this_thread::sleep_for(beat / 10);
    const auto now = std::chrono::steady_clock::now();
    if (const auto time = time_of(path); time != seen) {
      seen = time;
      since = now;
    }
    if (now - since > kBeatsToWait * beat && is_held()) {
      throw UserError(
          "{} does not answer: its {} has shown no sign of life for {:.0f} s. Killed, it left that "
          "file, and the next start takes the folder over",
          to_text(holder), path.string(),
          std::chrono::duration<double>(kBeatsToWait * beat).count());
    }
  }
}

}  // namespace bovila
