// What a run leaves for people in output.folder, complete after any number of kills.
// Fed by train/trainer.h on rank 0; read by people, tools/ and scripts. SPEC 7.
//
//   metrics.jsonl   one JSON object an optimizer step
//   log.txt         one JSON object an epoch: train_*, epoch, val_*
//   epoch{n}.json   the predictions of epoch n's evaluation
//
// Rows reach the disk in flush(), which comes before every checkpoint; resume_at() drops those that
// are newer than the checkpoint that a run goes on from. So each step and each epoch is there once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace bovila {

class ResultFiles {
 public:
  /// The folder is there already.
  explicit ResultFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// Drops the rows of steps after `step` and of epochs from `epoch` on, and lines that are not
  /// whole. @throws ProgramError with the system's reason.
  void resume_at(int64_t step, int64_t epoch);

  /// `row` is a JSON object without line breaks that has "step".
  void add_step(const std::string& row);
  /// `record` is one line of log.txt, `predictions` the text of epoch{n}.json.
  void add_epoch(int64_t epoch, const std::string& record, std::string predictions);

  /// Puts everything that was added on the disk. What cannot be written is kept for the next time.
  /// @return nothing, or the system's reason.
  std::optional<std::string> flush();

 private:
  struct Epoch {
    int64_t number = 0;
    std::string record;
    std::string predictions;
  };

  void append_steps();

  std::filesystem::path folder_;
  std::string steps_;  // rows that are not on the disk yet
  std::vector<Epoch> epochs_;
};

}  // namespace bovila
