// The first and the last lines of a run: what it is about to do, and what came of it.
// Fed by the deck and the last evaluation; feeds the log of src/main/run.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bovila/config/config.h"
#include "src/main/command_line.h"

namespace bovila {

/// Which deck, where its results go, and which keys are not at their defaults, paths aside; many
/// of them are only counted.
std::vector<std::string> opening_lines(const CommandLine& line, const Config& config);

/// An evaluation that was better than the last one, and the step that it came after; -1 for none.
struct BestEvaluation {
  double accuracy = -1;
  int64_t step = -1;
};

/// Where the results are, how good they are (`accuracy`, as text), and what to type next.
/// `last_step`: the last one that was trained, or -1 after --eval.
std::vector<std::string> closing_lines(const CommandLine& line, const Config& config,
                                       const std::string& accuracy, const BestEvaluation& best,
                                       int64_t last_step);

}  // namespace bovila
