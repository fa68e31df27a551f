// What to set model.max_seq_len to when prompts are longer (SPEC D6).
// Fed by prompt lengths; feeds the messages of `--check` and of training.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace bovila {

/// The smallest limit that loses no question, and how many some smaller ones would lose:
/// "model.max_seq_len = 274 fits all (192 loses 36, 224 loses 9, 248 loses 2)". `lengths`: of the
/// questions that are longer than `limit`, at least one.
std::string limits_text(std::span<const int64_t> lengths, int64_t limit);

}  // namespace bovila
