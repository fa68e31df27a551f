// What an optimizer step is in numbers, beside the one that the published rates were found with.
// Fed by the deck and the number of ranks; feeds the start of a run and --check. SPEC 6, 11.
#pragma once

#include <cstdint>
#include <string>

#include "bovila/config/config.h"

namespace bovila {

/// "a step is 128 questions: 16 micro-batches of 8 on 6 ranks, 2 or 3 each". For a deck with a
/// published train.blr it adds that the published step was the same, or what it was and which key
/// gives it. Pure.
std::string step_size_text(const Config& config, int64_t ranks);

/// That some ranks have no micro-batch in any step, or "". Pure.
std::string idle_ranks_text(const TrainConfig& config, int64_t ranks);

}  // namespace bovila
