// What a file system does not promise that checkpoints rely on: fsync, atomic rename.
// Fed by train/run_folder.h with the output folder; feeds a warning at the start of a run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace bovila {

/// The file system's name and what it does not promise, by the number that statfs(2) gives it;
/// nothing for one that keeps what is synced and renames in one go, or that is not known. Pure.
std::optional<std::string> durability_concern(uint64_t statfs_type);

/// The same for the file system that `path`, or what there is of it, lies on.
std::optional<std::string> durability_concern(const std::filesystem::path& path);

}  // namespace bovila
