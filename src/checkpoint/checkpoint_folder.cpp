// The folder of all checkpoints: which is the newest that is whole, and which may go.
#include <functional>
#include <set>

#include "bovila/checkpoint/checkpoint.h"
#include "bovila/core/durable_file.h"
#include "bovila/core/error.h"
#include "src/checkpoint/checkpoint_format.h"

namespace bovila {

using namespace checkpoint_format;

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kDeleted = ".deleted";
constexpr const char* kCheckpoints = "checkpoints";

/// The step in a hidden name, ".step-00000100" and any suffix that begins with a dot, or -1.
int64_t step_in_hidden_name(std::string_view name) {
  if (!name.starts_with('.')) return -1;
  const size_t end = name.find('.', 1);
  return end == std::string_view::npos ? -1 : step_in_name(name.substr(1, end - 1));
}

fs::path deleted_name(const fs::path& folder) {
  return folder.parent_path() / fmt::format(".{}{}", folder.filename().string(), kDeleted);
}

/// What stays is garbage under a hidden name: NFS holds on to files that somebody has open.
void remove_if_possible(const fs::path& hidden) {
  std::error_code ignored;
  fs::remove_all(hidden, ignored);
}

/// Deleting file by file would show a damaged checkpoint to whoever comes after a kill. The rename
/// is synced first: else a power cut could bring the name back without some of its files.
void remove_checkpoint(const fs::path& folder) {
  const fs::path hidden = deleted_name(folder);
  remove_if_possible(hidden);
  rename_durably(folder, hidden);
  remove_if_possible(hidden);
}

std::vector<fs::path> remove_old(const fs::path& root, int64_t keep, int64_t best_step) {
  std::vector<fs::path> removed;
  int64_t num_kept = 0;
  for (const int64_t step : list_checkpoints(root)) {
    const fs::path folder = checkpoint_folder(root, step);
    if (num_kept < keep) {
      if (is_valid(folder)) ++num_kept;
    } else if (step != best_step) {
      remove_checkpoint(folder);
      removed.push_back(folder);
    }
  }
  return removed;
}

fs::path unused_aside_name(const fs::path& folder) {
  for (int64_t number = 1;; ++number) {
    fs::path name = fmt::format("{}.aside-{}", folder.string(), number);
    if (!fs::exists(fs::symlink_status(name))) return name;
  }
}

std::vector<fs::path> move_aside(const fs::path& root, int64_t after_step) {
  std::vector<fs::path> moved;
  for (const int64_t step : list_checkpoints(root)) {
    if (step <= after_step) break;
    const fs::path folder = checkpoint_folder(root, step);
    moved.push_back(unused_aside_name(folder));
    rename_durably(folder, moved.back());
  }
  return moved;
}

/// The file system's exceptions, and those of reading, as those of writing.
template <typename Action>
auto as_program_error(const fs::path& root, Action action) {
  try {
    return action();
  } catch (const fs::filesystem_error& error) {
    throw ProgramError("{}: {}", root.string(), error.what());
  } catch (const UserError& error) {
    throw ProgramError("{}", error.what());
  }
}

}  // namespace

void checkpoint_format::remove_garbage(const fs::path& root) {
  std::set<int64_t> steps;
  for (const auto& entry : fs::directory_iterator(root)) {
    const int64_t step = step_in_hidden_name(entry.path().filename().string());
    if (step >= 0) steps.insert(step);
  }
  for (const int64_t step : steps) {
    const fs::path folder = checkpoint_folder(root, step);
    remove_if_possible(deleted_name(folder));
    remove_leftovers(folder);
  }
}

std::vector<int64_t> list_checkpoints(const fs::path& root) {
  std::set<int64_t, std::greater<>> steps;
  std::error_code reason;
  fs::directory_iterator entries(root, reason);
  if (reason == std::errc::no_such_file_or_directory) return {};
  for (; !reason && entries != fs::directory_iterator(); entries.increment(reason)) {
    const int64_t step = step_in_name(entries->path().filename().string());
    if (step >= 0) steps.insert(step);
  }
  if (reason) throw UserError("{}: cannot be listed: {}", root.string(), reason.message());
  return {steps.begin(), steps.end()};
}

std::optional<Checkpoint> find_newest_valid(const fs::path& root, const OnSkip& on_skip) {
  std::string reasons;
  for (const int64_t step : list_checkpoints(root)) {
    const fs::path folder = checkpoint_folder(root, step);
    try {
      return Checkpoint{folder, load_checkpoint(folder)};
    } catch (const UserError& error) {
      if (on_skip) on_skip(folder, error.what());
      reasons += fmt::format("\n  {}", error.what());
    }
  }
  if (reasons.empty()) return std::nullopt;
  throw UserError("{}: none of its checkpoints is valid, so there is nothing to go on from:{}",
                  root.string(), reasons);
}

Checkpoint resolve_checkpoint(const fs::path& path, const OnSkip& on_skip) {
  fs::path folder = path.lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();  // it had a slash at its end
  std::error_code ignored;
  if (!fs::exists(folder, ignored)) {
    throw UserError("{}: expected a checkpoint or an output folder, there is none", path.string());
  }
  if (fs::is_regular_file(folder, ignored)) {
    throw UserError(
        "{}: expected a checkpoint's step-... folder or an output folder, this is a file",
        path.string());
  }
  if (step_in_name(folder.filename().string()) >= 0 ||
      fs::exists(folder / kManifestName, ignored)) {
    return {folder, load_checkpoint(folder)};
  }
  const fs::path inner = folder / kCheckpoints;
  const fs::path root = fs::is_directory(inner, ignored) ? inner : folder;
  if (auto newest = find_newest_valid(root, on_skip)) return std::move(*newest);
  throw UserError(
      "{}: has no checkpoint; expected an output folder, its {}/ or one of the step-... in it",
      path.string(), kCheckpoints);
}

std::vector<fs::path> retain(const fs::path& root, int64_t keep, int64_t best_step) {
  BOVILA_CHECK(keep >= 2, "expected at least 2 checkpoints to keep, got {}", keep);
  return as_program_error(root, [&] { return remove_old(root, keep, best_step); });
}

std::vector<fs::path> set_aside(const fs::path& root, int64_t step) {
  return as_program_error(root, [&] { return move_aside(root, step); });
}

}  // namespace bovila
