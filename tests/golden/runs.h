// What is checked of every golden run; tests/golden/<dataset>.cpp name the runs.
#pragma once

#include <string>

#include "tests/golden/golden.h"

namespace golden {

/// Losses by term, gradients, norms and learning rates of every step, and the parameters after the
/// last.
void check_training(const Run& run);
/// Option losses, uncertainties, predictions and accuracy with the start values.
void check_evaluation(const Run& run);
/// Both, for every run of a data set that the folder has; fails when it has none.
void check_runs(const std::string& dataset);

}  // namespace golden
