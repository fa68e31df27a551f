// Whether a checkpoint fits the run that wants to go on from it, key by key.
// Fed by the deck and the identities in a TrainState and those of today; feeds the error, or the
// log, of a resumed run. Pure functions.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bovila/checkpoint/train_state.h"

namespace bovila {

using KeyValues = std::map<std::string, std::string>;

/// One key with the checkpoint's value and today's, as TOML; "not set" where there is none.
struct Difference {
  std::string key;
  std::string saved;
  std::string current;

  /// "train.seed: 0 in the checkpoint, 1 now"
  std::string text() const;
};

struct Fit {
  std::vector<Difference> allowed;    ///< may change: epochs, output, paths, ...
  std::vector<Difference> forbidden;  ///< would make it another run
};

/// "train.seed" -> "0" for every value of a deck. @throws UserError naming `source` when it is not
/// TOML.
KeyValues flatten_deck(std::string_view toml, const std::string& source);

/// Differences of two resolved decks, by key. A key that only one of them has counts with its
/// default in the other, so that a new key does not shut old checkpoints out.
/// Paths may change, because their files' contents are compared by compare_identities.
Fit compare_decks(std::string_view saved_toml, std::string_view current_toml);

/// Differences of the files' sizes and hashes, by key. Only the split that is evaluated may change.
Fit compare_identities(const KeyValues& saved, const KeyValues& current);

/// What a run is today, in TrainState's terms.
struct RunIdentity {
  std::string deck;
  KeyValues identity;
  int64_t num_ranks = 1;
  KeyValues build = {};  ///< is kept in checkpoints, and not compared
};

/// Compares the first three. @return the differences that are allowed, for the log; the number of
/// ranks is among them, and train.batch_size, train.accum_iter and train.questions_per_step where a
/// step has the same questions and each counts as before. With loss.aqa_gate a micro-batch adds up
/// its questions' AQA losses, so loss.aqa has to change the other way round than train.batch_size.
/// @throws UserError that lists every one that is not, with both values.
std::vector<Difference> require_fit(const std::string& folder, const TrainState& saved,
                                    const RunIdentity& current);

}  // namespace bovila
