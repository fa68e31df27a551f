// A loop in which every rank fetches something of its own, and its group then works on it together:
// what becomes of errors, so that no rank waits for one that has failed.
// Fed by dist/rank_grid.h; used by train/train_step.h and evaluation/.
#pragma once

#include <functional>

#include "bovila/dist/agreement.h"
#include "bovila/dist/rank_grid.h"

namespace bovila {

/// All ranks of a group make the same rounds; other groups may make fewer. After an error nothing
/// is done any more in its group, until all ranks agree.
class GroupRounds {
 public:
  explicit GroupRounds(const RankGrid& ranks) : ranks_(ranks) {}

  /// Collective over the group. `fetch` must not communicate; an error in it is its group's. In
  /// `work` the ranks of a group wait for each other: an error of one cannot be agreed on where
  /// there are others, and is thrown, which has to end the job.
  void run(const std::function<void()>& fetch, const std::function<void()>& work);
  /// Looks at what came of the round; must not communicate.
  void look(const std::function<void()>& check);
  /// Whether the group still works.
  bool is_going() const { return !is_over_ && error_.code == ExitCode::kSuccess; }
  /// Collective over all ranks. @throws AgreedError for the first rank's error.
  void agree() const { bovila::agree(ranks_.all(), error_); }

 private:
  const RankGrid& ranks_;
  LocalError error_;
  bool is_over_ = false;  // the same on all ranks of the group
};

}  // namespace bovila
