// Checkpoints on disk: each is a folder that is there as a whole or not at all.
// Fed by checkpoint/checkpoint_writer.h with a TrainState; feeds a resumed run with an equal one.
//
//   ROOT/step-00000100/      ROOT is output.folder/checkpoints
//     state.h5               arrays: parameters/NAME, adamw/first_moment, ...; fp32
//     progress.json          the numbers of TrainState, the names and shapes of its arrays
//     deck.toml              the resolved deck
//     build.json             which bovila wrote it
//     manifest.json          format version, step, size and SHA-256 of the four; written last
//
// Equal states give equal bytes, numbers (NaN too) come back bit for bit. A folder is written
// under a hidden name, synced and renamed, so that SIGKILL or a power cut at any moment leaves all
// older checkpoints and no half one. What is damaged afterwards is found by its hash.
//
// Thread safety: functions that write to one ROOT are called from one thread of one process at a
// time; reading is safe beside them, but retain() may delete what is being read. Rank 0 writes and
// chooses; the others are told the folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bovila/checkpoint/train_state.h"

namespace bovila {

/// Of the files' form. Checkpoints of other versions than these are refused. Version 3, of bovila
/// 0.1, lacks build.json, version 2 the counts of skipped steps too.
constexpr int64_t kCheckpointVersion = 4;
constexpr int64_t kOldestCheckpointVersion = 2;

struct Checkpoint {
  std::filesystem::path folder;
  TrainState state;
  bool is_published = false;  ///< `folder` is a .pth (checkpoint/published.h), `state` is empty
};

/// Hears which folder was passed over, and why: a sentence that names the folder and the file.
using OnSkip = std::function<void(const std::filesystem::path& folder, const std::string& reason)>;

/// ROOT/step-NNNNNNNN: eight digits, more where the step needs them.
std::filesystem::path checkpoint_folder(const std::filesystem::path& root, int64_t step);

/// Makes the checkpoint of `state.step`, and ROOT where it is missing; removes what killed writers
/// left there. A valid checkpoint of that step is left alone unless the state is further, within
/// the evaluation that follows the step or after it; then, and when it is invalid, it is replaced.
/// @return whether it was written: false when the one there was left alone.
/// @throws ProgramError with the system's reason (disk full, read-only), also for a state that
/// cannot be stored (sizes unlike shapes, a name twice). Then no checkpoint is changed.
bool save_checkpoint(const std::filesystem::path& root, const TrainState& state);

/// Reads a checkpoint and checks all of it: version, files, sizes, hashes, contents.
/// @throws UserError naming folder, file and reason for whatever bytes are there.
TrainState load_checkpoint(const std::filesystem::path& folder);

/// The checks of load_checkpoint up to the hashes, without the contents. @throws UserError.
void verify_checkpoint(const std::filesystem::path& folder);

/// Steps of the checkpoints in ROOT by their folders' names, valid or not, newest first. None when
/// ROOT is missing. @throws UserError when it cannot be listed.
std::vector<int64_t> list_checkpoints(const std::filesystem::path& root);

/// The newest checkpoint that is valid; nothing when ROOT has none at all.
/// @throws UserError with every reason when ROOT has only invalid ones.
std::optional<Checkpoint> find_newest_valid(const std::filesystem::path& root,
                                            const OnSkip& on_skip = {});

/// What --resume PATH means: one checkpoint's folder, or the newest valid one of an output folder
/// or of its checkpoints/. @throws UserError when there is none, or the named one is invalid.
Checkpoint resolve_checkpoint(const std::filesystem::path& path, const OnSkip& on_skip = {});

/// Deletes all checkpoints but the newest `keep` (at least 2) valid ones and `best_step`'s (-1:
/// none). Invalid ones do not count, and go when they are older than those kept; while there are
/// fewer valid ones than `keep`, nothing goes.
/// @return what was deleted. @throws ProgramError with the system's reason.
std::vector<std::filesystem::path> retain(const std::filesystem::path& root, int64_t keep,
                                          int64_t best_step);

/// Renames the checkpoints after `step` to step-NNNNNNNN.aside-N: they stay, but are no longer
/// found. For a run that starts afresh (-1: all) or goes on from an older checkpoint; otherwise
/// the old run's would stay the newest ones. @return the new names. @throws ProgramError.
std::vector<std::filesystem::path> set_aside(const std::filesystem::path& root, int64_t step);

}  // namespace bovila
