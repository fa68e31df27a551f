// The numbers are statfs(2)'s; <linux/magic.h> lacks some of them.
#include "bovila/core/file_system.h"

#include <fmt/format.h>
#include <sys/vfs.h>

#include <algorithm>

namespace bovila {
namespace {

namespace fs = std::filesystem;

struct FileSystem {
  uint64_t type;
  const char* name;
  const char* lacks;
};
constexpr const char* kInMemory = "is memory: what it holds is gone after a reboot";
constexpr const char* kNoRename = "does not rename in one go: a power cut may damage checkpoints";
constexpr const char* kUnknown = "may not keep the promises of fsync and rename after a power cut";
constexpr FileSystem kFileSystems[] = {
    {0x01021994, "tmpfs", kInMemory}, {0x858458f6, "ramfs", kInMemory},
    {0x4d44, "FAT", kNoRename},       {0x2011bab0, "exFAT", kNoRename},
    {0x65735546, "FUSE", kUnknown},   {0x01021997, "9p", kUnknown},
    {0xff534d42, "CIFS", kUnknown},   {0xfe534d42, "SMB2", kUnknown},
    {0x5346544e, "NTFS", kUnknown},   {0x786f4256, "a VirtualBox folder", kUnknown},
};

}  // namespace

std::optional<std::string> durability_concern(uint64_t statfs_type) {
  const auto found = std::ranges::find(kFileSystems, statfs_type, &FileSystem::type);
  if (found == std::end(kFileSystems)) return std::nullopt;
  return fmt::format("{} {}", found->name, found->lacks);
}

std::optional<std::string> durability_concern(const fs::path& path) {
  struct statfs status {};
  std::error_code ignored;
  fs::path there = fs::absolute(path, ignored);
  while (there.has_relative_path() && !fs::exists(there, ignored)) there = there.parent_path();
  if (statfs(there.c_str(), &status) != 0) return std::nullopt;
  return durability_concern(static_cast<uint64_t>(static_cast<uint32_t>(status.f_type)));
}

bool is_file_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos;
}

}  // namespace bovila
