// What a file system does not promise that checkpoints rely on (fsync, atomic rename), and names of
// files that come from a file. Fed by checkpoint/run_folder.h with the output folder, which makes a
// warning of it, and by readers of files that name others.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace bovila {

/// The file system's name and what it does not promise, by the number that statfs(2) gives it;
/// nothing for one that keeps what is synced and renames in one go, or that is not known. Pure.
std::optional<std::string> durability_concern(uint64_t statfs_type);

/// The same for the file system that `path`, or what there is of it, lies on.
std::optional<std::string> durability_concern(const std::filesystem::path& path);

/// Whether a file of this name, with or without an extension behind it, is in its folder: the name
/// is not empty, no "." or "..", and has neither slash nor NUL, which would end it early. Pure.
bool is_file_name(std::string_view name);

}  // namespace bovila
