// Everything that resuming a run needs, as plain data without LibTorch.
// Fed by the trainer between two optimizer steps; feeds checkpoint/checkpoint.h, which keeps it on
// disk.
//
// Random streams need no state of their own: their keys are the deck's seed, the epoch and the
// question, all of which are here.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bovila/evaluation/option_scores.h"

namespace bovila {

/// A tensor in row-major order; `values` has as many elements as `shape` says (one when empty).
/// A name is printable ASCII without blanks. One without a slash is a trained parameter under its
/// published name (SPEC 1); others are paths, like "adamw/first_moment".
struct NamedArray {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;
};

struct TrainState {
  int64_t step = 0;         ///< optimizer steps taken
  int64_t epoch = 0;        ///< in progress, from 0
  int64_t position = 0;     ///< questions of this epoch, of all ranks, already consumed
  int64_t adamw_steps = 0;  ///< the optimizer's own count: a skipped step is not one of them
  double loss_scale = 1;    ///< 1: none
  int64_t loss_scale_good_steps = 0;  ///< since it changed last
  int64_t num_ranks = 1;  ///< that wrote it; groups of ranks, where they hold the model together
  int64_t skipped_in_a_row = 0;  ///< the last steps, when they were not finite

  // The epoch's log line: mean of a term = its sum / num_micro_batches.
  std::vector<double> loss_sums;
  int64_t num_micro_batches = 0;
  int64_t num_skipped = 0;  ///< steps that are not among them: they were not finite

  /// Of the evaluation that follows the epoch's last step: what is scored already.
  std::vector<OptionScores> scores;

  double best_accuracy = -1;  ///< of the evaluations so far; -1 before the first
  int64_t best_step = -1;     ///< the step that reached it; -1 before the first

  std::string deck;                             ///< the resolved deck, TOML
  std::map<std::string, std::string> identity;  ///< "model.llama" -> size and SHA-256; UTF-8
  std::map<std::string, std::string>
      build;                       ///< dist/versions.h's of who wrote it; before 0.2: none
  std::vector<NamedArray> arrays;  ///< in the trainer's order, which is kept

  /// The array with this name, or null.
  const NamedArray* find(std::string_view name) const {
    const auto found = std::ranges::find(arrays, name, &NamedArray::name);
    return found == arrays.end() ? nullptr : &*found;
  }
};

}  // namespace bovila
