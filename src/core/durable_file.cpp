// Durable files and folders out of POSIX calls.
// A writer is alive as long as it holds flock() on its temporary file, or on `.lock` in its
// temporary folder: the kernel drops the lock when the process dies, however it dies.
// Every file is closed before it is removed: NFS keeps one that is open as `.nfsNUMBER`, and the
// folder with it.
#include "bovila/core/durable_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <random>
#include <string>
#include <utility>

#include "bovila/core/descriptor.h"
#include "bovila/core/error.h"
#include "bovila/core/system.h"

namespace bovila {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTemporary = ".tmp";
constexpr std::string_view kAside = ".old";
constexpr const char* kLockName = ".lock";
constexpr int kMaxAttempts = 100;

[[noreturn]] void fail(const fs::path& path, std::string_view action) {
  throw ProgramError("{}: cannot {}: {}", path.string(), action, system_message(errno));
}

/// The target without a trailing slash, so that it has a name and a folder.
fs::path normalised(const fs::path& target) {
  fs::path path = target.lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  BOVILA_CHECK(path.has_filename() && path.filename() != "." && path.filename() != "..",
               "{}: expected the name of a file or folder to write", target.string());
  return path;
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

fs::path unique_sibling(const fs::path& target, std::string_view suffix) {
  std::random_device random;
  return folder_of(target) /
         fmt::format(".{}.{:08x}{}", target.filename().string(), random(), suffix);
}

int open_retrying(const fs::path& path, int flags) {
  int descriptor = -1;
  do {
    descriptor = open(path.c_str(), flags | O_CLOEXEC, 0666);
  } while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

void sync_descriptor(int descriptor, const fs::path& path) {
  while (fsync(descriptor) != 0) {
    if (errno != EINTR) fail(path, "sync");
  }
}

enum class LockState { kHeldByUs, kHeldByOther, kUnknown };

LockState try_lock(int descriptor) {
  if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) return LockState::kHeldByUs;
  return errno == EWOULDBLOCK ? LockState::kHeldByOther : LockState::kUnknown;
}

/// Makes and locks a new file; -1 when another process's remove_leftovers() took it away between
/// the two, and the caller tries another name.
int create_locked(const fs::path& path) {
  const int descriptor = open_retrying(path, O_RDWR | O_CREAT | O_EXCL);
  if (descriptor < 0) {
    if (errno == EEXIST || errno == ENOENT) return -1;
    fail(path, "create");
  }
  struct stat status {};
  if (try_lock(descriptor) != LockState::kHeldByOther && fstat(descriptor, &status) == 0 &&
      status.st_nlink > 0) {
    return descriptor;
  }
  close(descriptor);
  return -1;
}

void check_folder(const fs::path& folder) {
  std::error_code reason;
  if (fs::is_directory(folder, reason)) return;
  throw ProgramError("{}: expected a folder to write to: {}", folder.string(),
                     reason ? reason.message() : "there is none");
}

void sync_tree(const fs::path& folder) {
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_symlink()) continue;
    if (entry.is_directory()) {
      sync_folder(entry.path());
    } else {
      sync_file(entry.path());
    }
  }
  sync_folder(folder);
}

/// Puts `from` in the place of the folder `to`, and the old one aside under the returned name.
fs::path replace_folder(const fs::path& from, const fs::path& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) {
    sync_folder(folder_of(to));
    return from;
  }
  if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) fail(to, "be replaced");
  fs::path old = unique_sibling(to, kAside);
  rename_durably(to, old);
  try {
    rename_durably(from, to);
  } catch (...) {
    rename_durably(old, to);
    throw;
  }
  return old;
}

void remove_quietly(const fs::path& path) noexcept {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

/// True when `path` is a temporary folder that no living process writes.
bool folder_is_dead(const fs::path& path) {
  const fs::path lock = path / kLockName;
  const Descriptor file(open_retrying(lock, O_RDWR));
  if (file.id >= 0) return try_lock(file.id) == LockState::kHeldByUs;
  if (errno != ENOENT) return false;
  // `.lock` is the first file a writer makes. Without it the folder is one that commit() exchanged
  // for its successor, or it is empty and its writer may be about to make it: rmdir alone is safe.
  std::error_code ignored;
  if (fs::is_empty(path, ignored)) return rmdir(path.c_str()) == 0;
  return !fs::exists(lock, ignored) && !ignored;
}

bool file_is_dead(const fs::path& path) {
  const Descriptor file(open_retrying(path, O_RDWR));
  return file.id >= 0 && try_lock(file.id) == LockState::kHeldByUs;
}

/// Whether `name` is `.NAME.<8 hexadecimal digits>SUFFIX`.
bool is_sibling(const std::string& name, const fs::path& target, std::string_view suffix) {
  const std::string prefix = "." + target.filename().string() + ".";
  return name.size() == prefix.size() + 8 + suffix.size() && name.starts_with(prefix) &&
         name.ends_with(suffix) &&
         name.find_first_not_of("0123456789abcdef", prefix.size()) == prefix.size() + 8;
}

}  // namespace

void sync_file(const fs::path& path) {
  const Descriptor file(open_retrying(path, O_RDONLY));
  if (file.id < 0) fail(path, "open");
  sync_descriptor(file.id, path);
}

void sync_folder(const fs::path& folder) {
  const Descriptor opened(open_retrying(folder, O_RDONLY | O_DIRECTORY));
  if (opened.id < 0) fail(folder, "open");
  while (fsync(opened.id) != 0) {
    if (errno == EINVAL) return;  // the file system has no sync of folders
    if (errno != EINTR) fail(folder, "sync");
  }
}

void rename_durably(const fs::path& from, const fs::path& to) {
  if (rename(from.c_str(), to.c_str()) != 0) fail(to, "rename " + from.string() + " to it");
  const fs::path new_folder = folder_of(normalised(to));
  const fs::path old_folder = folder_of(normalised(from));
  sync_folder(new_folder);
  if (old_folder != new_folder) sync_folder(old_folder);
}

DurableFile::DurableFile(const fs::path& target) : target_(normalised(target)) {
  check_folder(folder_of(target_));
  for (int attempt = 0; descriptor_ < 0 && attempt < kMaxAttempts; ++attempt) {
    temporary_ = unique_sibling(target_, kTemporary);
    descriptor_ = create_locked(temporary_);
  }
  if (descriptor_ < 0) fail(temporary_, "create");
}

DurableFile::~DurableFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!temporary_.empty()) remove_quietly(temporary_);
}

void DurableFile::write(std::span<const std::byte> data) {
  BOVILA_CHECK(descriptor_ >= 0, "{}: written to after its commit", target_.string());
  while (!data.empty()) {
    const ssize_t written = ::write(descriptor_, data.data(), data.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(temporary_, "write");
    data = data.subspan(static_cast<size_t>(written));
  }
}

void DurableFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text)));
}

void DurableFile::commit() {
  BOVILA_CHECK(descriptor_ >= 0, "{}: committed twice", target_.string());
  sync_descriptor(descriptor_, temporary_);
  rename_durably(temporary_, target_);
  temporary_.clear();
  if (close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) fail(target_, "close");
}

void write_file_durably(const fs::path& target, std::string_view contents) {
  DurableFile file(target);
  file.write(contents);
  file.commit();
}

TempFolder::TempFolder(const fs::path& target) : target_(normalised(target)) {
  check_folder(folder_of(target_));
  for (int attempt = 0; lock_ < 0 && attempt < kMaxAttempts; ++attempt) {
    path_ = unique_sibling(target_, kTemporary);
    if (mkdir(path_.c_str(), 0777) == 0) {
      lock_ = create_locked(path_ / kLockName);
    } else if (errno != EEXIST) {
      break;
    }
  }
  if (lock_ < 0) fail(path_, "create");
}

TempFolder::~TempFolder() {
  if (lock_ >= 0) close(lock_);
  if (!path_.empty()) remove_quietly(path_);
}

void TempFolder::commit(bool replace) {
  BOVILA_CHECK(!path_.empty(), "{}: committed twice", target_.string());
  sync_tree(path_);
  fs::path old;
  if (replace && fs::exists(fs::symlink_status(target_))) {
    old = replace_folder(path_, target_);
  } else {
    rename_durably(path_, target_);
  }
  path_.clear();
  // After the rename, so that the folder is never without it under its temporary name.
  close(std::exchange(lock_, -1));
  unlink((target_ / kLockName).c_str());
  if (!old.empty()) remove_quietly(old);
}

std::vector<fs::path> remove_leftovers(const fs::path& target) {
  const fs::path path = normalised(target);
  std::vector<fs::path> temporaries, aside, removed;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder_of(path), ignored)) {
    const std::string name = entry.path().filename().string();
    if (is_sibling(name, path, kTemporary)) temporaries.push_back(entry.path());
    if (is_sibling(name, path, kAside)) aside.push_back(entry.path());
  }
  for (const fs::path& old : aside) {
    if (!fs::exists(path)) {
      rename_durably(old, path);
    } else {
      removed.push_back(old);
    }
  }
  for (const fs::path& temporary : temporaries) {
    const bool dead = fs::is_directory(fs::symlink_status(temporary)) ? folder_is_dead(temporary)
                                                                      : file_is_dead(temporary);
    if (dead) removed.push_back(temporary);
  }
  for (const fs::path& leftover : removed) remove_quietly(leftover);
  return removed;
}

}  // namespace bovila
