// A checkpoint that is scored or asked: under which settings, and how it differs from its training.
// Fed by checkpoint/answers_fit.h and checkpoint/published.h; feeds --eval and `bovila answer`.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bovila/checkpoint/checkpoint.h"
#include "bovila/checkpoint/checkpoint_fit.h"
#include "bovila/config/deck.h"
#include "bovila/report/eval_record.h"

namespace bovila {

/// For what is no evaluation, "this is a training". @throws UserError when the deck has eval.video
/// or eval.options.
void refuse_probe(const Config& config, std::string_view doing);

/// What the deck leaves open is as the checkpoint was trained, and said in the log; nothing where
/// it tells nothing of its run. @throws UserError as take_open_settings.
void take_open(const Checkpoint& checkpoint, Deck& deck);

/// Compares settings and contents with those of the checkpoint's training; of a published one what
/// its args say, each difference a warning. `despite`: the others' are warnings too.
/// @return what differs. @throws UserError that lists it.
std::vector<std::string> compare_with_training(const Checkpoint& checkpoint,
                                               const RunIdentity& current, const Config& config,
                                               bool despite);

/// What --eval will have scored. @throws UserError as compare_with_training.
EvalRecord make_record(const std::optional<Checkpoint>& checkpoint, const RunIdentity& current,
                       const Config& config, bool despite);

}  // namespace bovila
