// libfaults.so, loaded before all others (LD_PRELOAD): lets calls of the C library that change
// files below one folder fail, or ends or holds the process there. Fed by the tests' environment:
//
//   BOVILA_FAULTS_UNDER  the folder; calls on other files are not counted
//   BOVILA_FAULTS        "CALL NUMBER ACTION", several with commas: the NUMBER-th CALL (from 1),
//                        one of write, fsync, rename, or "any" of them; with a + behind NUMBER
//                        all later ones too. ACTION: kill-before,
//                        kill-after, hold (SIGSTOP before it), full (ENOSPC), readonly (EROFS),
//                        io (EIO), short (half of it is written)
//   BOVILA_FAULTS_LOG    a file: gets a line a counted call, "write /path"
//   BOVILA_SIGNAL_WHILE_LOADING  a number: the process gets this signal before main, while the
//                        constructors of its libraries run
//   BOVILA_NO_FLOCK      an errno: flock() is not to be had (37 ENOLCK, 95 EOPNOTSUPP, 524 of DVS)
//   BOVILA_NFS           set: a file that is removed while this process has it open stays as
//                        .nfsNUMBER (NFS removes it when it is closed, here it stays to be seen),
//                        and such a file cannot be removed (EBUSY)
//   BOVILA_CLOCK_JUMPS   set: each look at the wall clock is up to a year off, at a steady one not
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

namespace {

std::atomic<long> num_calls[3];
std::atomic<long> num_all;
enum Call { kWrite, kFsync, kRename };
constexpr const char* kNames[] = {"write", "fsync", "rename"};

template <typename Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

std::string path_of(int file) {
  char target[PATH_MAX];
  const std::string link = "/proc/self/fd/" + std::to_string(file);
  const ssize_t size = readlink(link.c_str(), target, sizeof target);
  return size < 0 ? "" : std::string(target, static_cast<size_t>(size));
}

std::string absolute(const std::string& path) {
  char here[PATH_MAX];
  if (path.front() == '/' || getcwd(here, sizeof here) == nullptr) return path;
  return std::string(here) + "/" + path;
}

/// The action for a call on this file, given by its absolute path, or "".
std::string action_of(Call call, const std::string& path) {
  const char* under = getenv("BOVILA_FAULTS_UNDER");
  if (under == nullptr || path.compare(0, strlen(under), under) != 0) return "";
  const long mine = ++num_calls[call], all = ++num_all;
  if (const char* log = getenv("BOVILA_FAULTS_LOG")) {
    const std::string line = std::string(kNames[call]) + " " + path + "\n";
    const int file = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    [[maybe_unused]] const ssize_t put =
        real<decltype(write)>("write")(file, line.data(), line.size());
    close(file);
  }
  const char* faults = getenv("BOVILA_FAULTS");
  for (const char* at = faults; at != nullptr; at = strchr(at, ',')) {
    at += *at == ',';
    char name[16], action[16];
    long number = 0;
    int end = 0;
    if (sscanf(at, "%15[a-z] %ld%n", name, &number, &end) != 2) abort();
    const bool is_on = at[end] == '+';
    if (sscanf(at + end + is_on, " %15[a-z-]", action) != 1) abort();
    const bool is_any = strcmp(name, "any") == 0;
    if (!is_any && strcmp(name, kNames[call]) != 0) continue;
    const long now = is_any ? all : mine;
    if (now == number || (is_on && now > number)) return action;
  }
  return "";
}

void die_if(bool condition) {
  if (condition) kill(getpid(), SIGKILL);
}

/// Sets errno for an action that is an error.
bool fails(const std::string& action) {
  errno = action == "full" ? ENOSPC : action == "readonly" ? EROFS : action == "io" ? EIO : 0;
  return errno != 0;
}

template <typename Work>
auto with_fault(Call call, const std::string& path, Work work) {
  const std::string action = action_of(call, path);
  die_if(action == "kill-before");
  if (action == "hold") kill(getpid(), SIGSTOP);
  if (fails(action)) return decltype(work(action)){-1};
  const auto result = work(action);
  die_if(action == "kill-after");
  return result;
}

size_t allowed(const std::string& action, size_t size) {
  return action == "short" && size > 1 ? size / 2 : size;
}

__attribute__((constructor)) void signal_while_loading() {
  const char* number = getenv("BOVILA_SIGNAL_WHILE_LOADING");
  if (number == nullptr) return;
  const int signal = atoi(number);
  unsetenv("BOVILA_SIGNAL_WHILE_LOADING");  // not for what this process starts
  raise(signal);
}

bool is_open(const struct stat& file) {
  for (int number = 0; number < 1024; ++number) {
    struct stat mine {};
    if (fstat(number, &mine) == 0 && mine.st_ino == file.st_ino && mine.st_dev == file.st_dev) {
      return true;
    }
  }
  return false;
}

/// Whether NFS has seen to the removal of a file; `result` is what the call returns then.
bool removed_as_nfs(int folder, const char* path, int* result) {
  struct stat file {};
  if (getenv("BOVILA_NFS") == nullptr || fstatat(folder, path, &file, AT_SYMLINK_NOFOLLOW) != 0 ||
      !S_ISREG(file.st_mode)) {
    return false;
  }
  const std::string text = path;
  const size_t slash = text.rfind('/');
  const size_t name = slash == std::string::npos ? 0 : slash + 1;
  if (text.compare(name, 4, ".nfs") == 0) {
    errno = EBUSY;
    *result = -1;
    return true;
  }
  if (!is_open(file)) return false;
  const std::string kept = text.substr(0, name) + ".nfs" + std::to_string(file.st_ino);
  *result = renameat(folder, path, folder, kept.c_str());
  return true;
}

}  // namespace

extern "C" {

ssize_t write(int file, const void* data, size_t size) {
  return with_fault(kWrite, path_of(file), [&](const std::string& action) {
    return real<decltype(write)>("write")(file, data, allowed(action, size));
  });
}

ssize_t pwrite64(int file, const void* data, size_t size, off64_t at) {
  return with_fault(kWrite, path_of(file), [&](const std::string& action) {
    return real<decltype(pwrite64)>("pwrite64")(file, data, allowed(action, size), at);
  });
}

ssize_t pwrite(int file, const void* data, size_t size, off_t at) {
  return pwrite64(file, data, size, at);
}

int fsync(int file) {
  return with_fault(kFsync, path_of(file),
                    [&](const std::string&) { return real<decltype(fsync)>("fsync")(file); });
}

int rename(const char* from, const char* to) {
  return with_fault(kRename, absolute(to),
                    [&](const std::string&) { return real<decltype(rename)>("rename")(from, to); });
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to,
              unsigned int flags) {
  return with_fault(kRename, absolute(to), [&](const std::string&) {
    return real<decltype(renameat2)>("renameat2")(from_folder, from, to_folder, to, flags);
  });
}

int unlink(const char* path) {
  int result = 0;
  if (removed_as_nfs(AT_FDCWD, path, &result)) return result;
  return real<decltype(unlink)>("unlink")(path);
}

int unlinkat(int folder, const char* path, int flags) {
  int result = 0;
  if ((flags & AT_REMOVEDIR) == 0 && removed_as_nfs(folder, path, &result)) return result;
  return real<decltype(unlinkat)>("unlinkat")(folder, path, flags);
}

int remove(const char* path) {
  int result = 0;
  if (removed_as_nfs(AT_FDCWD, path, &result)) return result;
  return real<decltype(remove)>("remove")(path);
}

int flock(int file, int operation) {
  if (const char* reason = getenv("BOVILA_NO_FLOCK")) {
    errno = atoi(reason);
    return -1;
  }
  return real<decltype(flock)>("flock")(file, operation);
}

int clock_gettime(clockid_t clock, struct timespec* time) {
  const int result = real<decltype(clock_gettime)>("clock_gettime")(clock, time);
  if (clock == CLOCK_REALTIME && getenv("BOVILA_CLOCK_JUMPS") != nullptr) {
    constexpr long kYear_s = 365L * 24 * 3600;
    time->tv_sec += (random() % 3 - 1) * (random() % kYear_s);
  }
  return result;
}

}  // extern "C"
