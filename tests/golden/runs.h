// What is checked of every golden run; tests/golden/<dataset>.cpp name the runs, bf16.cpp and
// tests/gpu/golden.cpp other arithmetics.
#pragma once

#include <string>

#include "tests/golden/golden.h"

namespace golden {

/// How far a run may be from the published numbers: losses and uncertainties relative to each,
/// gradients relative to each tensor's norm, norms of parameters relative, elements of parameters
/// after the last step relative to their tensor's largest, or to 1 where that is less, and what the
/// steps added to a tensor relative to that sum's norm.
struct Tolerances {
  double loss, gradient, norm, parameter, movement;
};

/// SPEC 10's.
inline constexpr Tolerances kFp32OnCpu = {1e-5, 1e-4, 1e-5, 1e-5, 1e-3};
/// Ten times those: sums are added in another order, and AdamW divides small gradients by
/// themselves.
inline constexpr Tolerances kFp32OnCuda = {1e-4, 1e-3, 1e-4, 1e-4, 1e-2};
/// bf16 keeps 8 bits of a number. Found on the CPU for STAR: losses 2.5e-2 (loss_edl_reg; the
/// others 1.3e-2), gradients 6e-2, norms 3e-5, parameters 1e-3, what the steps
/// added 5.4e-2.
inline constexpr Tolerances kBf16 = {5e-2, 1.5e-1, 2e-4, 3e-3, 1.5e-1};

/// Where and how a run is computed, and what that may cost.
struct Arithmetic {
  torch::Device device = torch::kCPU;
  torch::ScalarType precision = torch::kFloat32;
  Tolerances tolerances = kFp32OnCpu;
  bovila::Communicator* group = nullptr;  ///< ranks that hold the model together
};

/// Losses by term, gradients, norms and learning rates of every step, and the parameters after the
/// last.
void check_training(const Run& run, const Arithmetic& arithmetic = {});
/// Option losses, uncertainties, predictions and accuracy with the start values. A prediction whose
/// two best options are closer than the tolerance may go either way.
void check_evaluation(const Run& run, const Arithmetic& arithmetic = {});
/// Both, for every run that the folder has of those that start so (runs_of); fails when it has
/// none.
void check_runs(const std::string& first, const Arithmetic& arithmetic = {});

}  // namespace golden
