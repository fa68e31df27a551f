// Whether a trained model is asked under the settings, and with the files, that it was trained
// with. Fed by what a checkpoint tells of its run and by the deck of --eval or `bovila answer`;
// feeds the settings that the deck leaves open, and the error, or the warnings, about what differs.
// Pure functions but for the log.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bovila/checkpoint/checkpoint_fit.h"
#include "bovila/config/deck.h"

namespace bovila {

/// Whether another value of this key gives a trained model other answers. Keys of training, output
/// and ranks do not, nor do paths, whose contents are compared; every other key does, also one that
/// is not known here.
bool changes_answers(std::string_view key);

/// Puts the settings of the checkpoint's deck that change answers into `deck` where it leaves them
/// open: keys that it does not give, a precision of "auto", and the numbers that the shapes of
/// trained parameters follow from, unless an override gives them. The split that is scored comes
/// too.
/// @return what was taken, "model.adapter_len = 5 (the deck: 10)". @throws UserError when
/// `saved_toml` is no deck, or the settings contradict each other.
std::vector<std::string> take_open_settings(const std::string& saved_toml,
                                            const std::string& source, Deck& deck);

/// What differs so that it changes answers: settings, and the contents of weights, tokenizer,
/// features and questions, of those that both sides know. Another split is asked for by
/// data.val_split and is no difference; then its questions are not compared. model.max_seq_len only
/// counts where dialogues are cut to it.
std::vector<Difference> compare_answers(const RunIdentity& saved, const RunIdentity& current);

/// compare_answers(), for one rank. With `despite` each difference is a warning.
/// @return their texts. @throws UserError that lists them without.
std::vector<std::string> require_same_answers(const std::string& checkpoint,
                                              const RunIdentity& saved, const RunIdentity& current,
                                              bool despite);

}  // namespace bovila
