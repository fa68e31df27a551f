// What a run leaves for people in output.folder, complete after any number of kills.
// Fed by train/trainer.h on rank 0; read by people, tools/ and scripts. SPEC 7.
//
//   metrics.jsonl   one JSON object an optimizer step, the same in every run of a deck
//   timing.jsonl    one JSON object an optimizer step: when it was taken, where its time went
//   log.txt         one JSON object an epoch: train_*, epoch, val_*
//   epoch{n}.json   the predictions of epoch n's evaluation
//   questions.jsonl the newest evaluation's questions with options, scores and uncertainty
//   calibration.json what its certainties are worth (report/calibration.h)
//   events.out.tfevents.NNNNNN   the first three for TensorBoard (report/tensorboard_events.h)
//
// Rows are shown as they come, in show(), and are on the disk for good after flush(), which comes
// before every checkpoint; resume_at() drops those that are newer than the checkpoint that a run
// goes on from. So each step and each epoch is there once. The first show() or flush() after it
// renders the rows that are left to a new event file and empties the one before: TensorBoard,
// watching or not, sees each step once too.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "bovila/report/tensorboard_events.h"

namespace bovila {

/// Writes a file durably; an empty text is no file.
void write_or_remove(const std::filesystem::path& path, const std::string& text);

class ResultFiles {
 public:
  /// The folder is there already. `tensorboard`: with event files.
  ResultFiles(std::filesystem::path folder, bool tensorboard)
      : folder_(std::move(folder)), tensorboard_(tensorboard) {}

  /// Drops the rows of steps after `step` and of epochs from `epoch` on, and lines that are not
  /// whole. @throws ProgramError with the system's reason.
  void resume_at(int64_t step, int64_t epoch);

  /// Rows of metrics.jsonl and timing.jsonl: JSON objects without line breaks that have "step".
  void add_step(const std::string& metrics, const std::string& timing);
  /// `record` is one line of log.txt, the others the texts of epoch{n}.json, questions.jsonl and
  /// calibration.json; the last is "" where the split hides its answers, and then there is no file.
  void add_epoch(int64_t epoch, const std::string& record, std::string predictions,
                 std::string questions, std::string calibration = "");

  /// Lets readers see the rows of steps that were added, without waiting for the disk. What cannot
  /// be written is kept for flush(), which tells of it.
  void show() noexcept;
  /// Puts everything that was added on the disk. What cannot be written is kept for the next time.
  /// @return nothing, or the system's reason.
  std::optional<std::string> flush();

 private:
  struct Epoch {
    int64_t number = 0;
    std::string record;
    std::string predictions;
    std::string questions;
    std::string calibration;
  };

  /// What a file does not hold for good: its first `shown` bytes are in it, and not synced.
  struct Waiting {
    std::string text;
    size_t shown = 0;
  };

  /// Appends what is not shown yet; with `durably` nothing waits afterwards.
  void append(const std::string& name, Waiting& waiting, bool durably);
  void append_events(bool durably);

  std::filesystem::path folder_;
  bool tensorboard_;
  Waiting steps_, timing_, events_;
  std::vector<Epoch> epochs_;
  std::string event_file_;  ///< its name; "" before the first show() or flush()
  EventClock clock_;        ///< of the last step
};

}  // namespace bovila
