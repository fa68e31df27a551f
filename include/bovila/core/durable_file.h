// Files and folders that are visible only when they are whole, also after SIGKILL or a power cut.
// Fed by pth2h5, checkpoints and predictions: write beside, fsync, rename, fsync the folder.
//
// All errors are ProgramError with the path and the system's reason. Modes honour the umask.
// Temporary names are `.NAME.RANDOM.tmp` beside their target NAME: on the same file system, and no
// two writers share one. A writer holds a lock on its own; remove_leftovers() clears those whose
// writers are dead.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace bovila {

/// Makes a file's contents, or a folder's entries, survive a power cut.
void sync_file(const std::filesystem::path& path);
void sync_folder(const std::filesystem::path& folder);

/// Renames `from` to `to` and syncs the folders of both. A file replaces an old file, a folder
/// replaces an empty folder only.
void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to);

/// A file being written beside its target. It takes the target's place in commit() and is removed
/// when it is destroyed without. Not thread-safe.
class DurableFile {
 public:
  explicit DurableFile(const std::filesystem::path& target);
  ~DurableFile();
  DurableFile(const DurableFile&) = delete;
  DurableFile& operator=(const DurableFile&) = delete;

  void write(std::span<const std::byte> data);
  void write(std::string_view text);
  /// Syncs, renames over the target and syncs its folder. Nothing may be written after it.
  void commit();

 private:
  std::filesystem::path target_;
  std::filesystem::path temporary_;  // empty when committed
  int descriptor_ = -1;
};

/// DurableFile for contents that are in memory.
void write_file_durably(const std::filesystem::path& target, std::string_view contents);

/// A new folder beside its target, removed with all that is in it unless committed. The name
/// `.lock` in it is taken.
class TempFolder {
 public:
  explicit TempFolder(const std::filesystem::path& target);
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// Syncs everything in it and renames it to the target, which must be missing or an empty folder.
  /// With `replace` an old folder may be there: it is exchanged for the new one and then removed.
  /// Where the file system cannot exchange, the old one is moved aside first; remove_leftovers()
  /// puts it back if the process dies before the new one is in place.
  void commit(bool replace = false);

 private:
  std::filesystem::path target_;
  std::filesystem::path path_;  // empty when committed
  int lock_ = -1;
};

/// Removes temporary files and folders of `target` whose writers are dead, and puts an old folder
/// back that a dead writer had moved aside. Returns what was removed. What a living writer holds is
/// left alone, and everything is where the file system has no locks.
std::vector<std::filesystem::path> remove_leftovers(const std::filesystem::path& target);

}  // namespace bovila
