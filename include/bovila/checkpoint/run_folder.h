// The output folder: what a run finds there when it starts, and where it starts from.
// Fed by the deck and the command line; feeds src/main/run.cpp with a checkpoint or nothing.
// On rank 0.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "bovila/checkpoint/checkpoint.h"
#include "bovila/config/config.h"

namespace bovila {

/// output.folder/checkpoints
std::filesystem::path checkpoint_root(const Config& config);

/// Makes output.folder where it is missing. @throws UserError when it cannot be made, or has a
/// config.json that is not a run's.
void make_run_folder(const Config& config);

/// Writes the resolved settings, config.json, and `build`, build.json, when nothing refuses the run
/// any more; with `keep` each only where there is none, as --eval does in a trained run's folder.
/// @throws ProgramError.
void write_settings(const Config& config, const std::string& build, bool keep);

/// Says in the log when checkpoints would lie on a file system that may lose them.
void warn_of_file_system(const Config& config);

/// Moves everything that a run leaves in `folder` (config.json, build.json, log.txt, metrics.jsonl,
/// timing.jsonl, event files, epoch{n}.json, eval.json, eval-record.json, questions.jsonl,
/// calibration.json, ledger.jsonl, hang-rank{n}.json, checkpoints), and pages and plots of it, to a
/// new `folder`/previous-N.
/// @return that folder, or nothing when there was no such thing. @throws ProgramError with the
/// system's reason.
std::optional<std::filesystem::path> move_run_aside(const std::filesystem::path& folder);

/// Moves the folder's eval.json, and what says what it is of, to a new `folder`/previous-N.
/// @return that folder. @throws ProgramError.
std::filesystem::path move_evaluation_aside(const std::filesystem::path& folder);

/// What the command line says about the start.
struct Start {
  std::string resume;         ///< --resume PATH, or ""; a file is a published checkpoint's
  bool fresh = false;         ///< --fresh
  bool eval = false;          ///< --eval
  bool is_restarted = false;  ///< the same command line is run again, by Slurm or jobs/
  bool despite = false;       ///< --despite-differences
};

/// The checkpoint to start from; nothing means the start values. A restarted job goes on with what
/// it has itself saved, whatever --resume or --fresh said the first time: else a requeued job would
/// begin again and again. Results of a run that left no checkpoint are moved aside as by --fresh.
/// Skipped checkpoints, and what was moved, are in the log. A published checkpoint is not read
/// here.
/// @throws UserError when --resume names none, or a published one without --eval, or another
/// folder's while this one has some (typed again, the command would begin again); when all
/// checkpoints are invalid; or when there are some and checkpoint.resume is "never".
std::optional<Checkpoint> choose_start(const Config& config, const Start& start);

/// What rank 0 chose, for the other ranks. @throws UserError.
Checkpoint reopen_start(const std::filesystem::path& path);

}  // namespace bovila
