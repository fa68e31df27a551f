// Saving and loading one checkpoint. The order of the steps of a save is what makes it safe:
//   1. all bytes are made in memory: a state that cannot be stored touches nothing
//   2. files, then the manifest, are written and synced under a hidden name beside ROOT's folders
//   3. the hidden folder is synced and renamed, ROOT is synced: whole, or not there
// A kill leaves the hidden folder, which the next save removes; a power cut can at worst lose the
// rename. The hashes are for what happens to the files later.
#include "bovila/checkpoint/checkpoint.h"

#include <new>
#include <tuple>

#include "bovila/core/durable_file.h"
#include "bovila/core/error.h"
#include "src/checkpoint/checkpoint_format.h"

namespace bovila {

using namespace checkpoint_format;

namespace {

namespace fs = std::filesystem;

Files make_files(const TrainState& state) {
  BOVILA_CHECK(state.step >= 0, "checkpoint of step {}", state.step);
  return {{kArraysName, write_arrays(state.arrays)},
          {kBuildName, write_build(state.build)},
          {kDeckName, state.deck},
          {kProgressName, write_progress(state)}};
}

/// Makes a folder and those above it. Each new name is synced, or a power cut could take a
/// checkpoint away together with the folder it is in.
void make_folders(const fs::path& folder) {
  std::vector<fs::path> missing;
  for (fs::path path = fs::absolute(folder).lexically_normal(); !fs::exists(path);
       path = path.parent_path()) {
    missing.push_back(path);
  }
  for (; !missing.empty(); missing.pop_back()) {
    fs::create_directory(missing.back());
    sync_folder(missing.back().parent_path());
  }
}

/// How far a state is, among those of one step.
auto progress_of(const TrainState& state) {
  return std::tuple(state.epoch, state.position, state.scores.size());
}

/// Whether a folder holds a checkpoint that `state` has no reason to replace.
bool holds_as_much(const fs::path& folder, const TrainState& state) {
  try {
    return progress_of(load_checkpoint(folder)) >= progress_of(state);
  } catch (const UserError&) {
    return false;
  }
}

bool save(const fs::path& root, const TrainState& state) {
  const Files files = make_files(state);
  make_folders(root);
  remove_garbage(root);
  const fs::path target = checkpoint_folder(root, state.step);
  const bool occupied = fs::exists(fs::symlink_status(target));
  if (occupied && holds_as_much(target, state)) return false;
  TempFolder folder(target);
  for (const auto& [name, contents] : files) write_file_durably(folder.path() / name, contents);
  write_file_durably(folder.path() / kManifestName, write_manifest(state.step, files));
  folder.commit(occupied);
  return true;
}

TrainState load(const fs::path& folder) {
  Sealed sealed = read_sealed(folder);
  const std::string progress_path = (folder / kProgressName).string();
  TrainState state = read_progress(sealed.files[kProgressName], progress_path);
  if (state.step != sealed.step) {
    throw UserError("{}: it says step {}, the manifest step {}", progress_path, state.step,
                    sealed.step);
  }
  state.deck = std::move(sealed.files[kDeckName]);
  if (const auto build = sealed.files.find(kBuildName); build != sealed.files.end()) {
    state.build = read_build(build->second, (folder / kBuildName).string());
  }
  read_arrays(sealed.files[kArraysName], (folder / kArraysName).string(), state.arrays);
  return state;
}

/// A file may claim any size, up to what the manifest says.
template <typename Read>
auto while_reading(const fs::path& folder, Read read) {
  try {
    return read();
  } catch (const std::bad_alloc&) {
    throw UserError("{}: there is not enough memory to read it", folder.string());
  }
}

}  // namespace

fs::path checkpoint_folder(const fs::path& root, int64_t step) {
  return root / fmt::format("step-{:08}", step);
}

bool save_checkpoint(const fs::path& root, const TrainState& state) {
  try {
    return save(root, state);
  } catch (const fs::filesystem_error& error) {
    throw ProgramError("{}: {}", root.string(), error.what());
  }
}

TrainState load_checkpoint(const fs::path& folder) {
  return while_reading(folder, [&] { return load(folder); });
}

void verify_checkpoint(const fs::path& folder) {
  while_reading(folder, [&] { return read_sealed(folder); });
}

bool checkpoint_format::is_valid(const fs::path& folder) {
  try {
    verify_checkpoint(folder);
    return true;
  } catch (const UserError&) {
    return false;
  }
}

}  // namespace bovila
