// Whether a device computes a training step as the CPU does: a tiny LLaMA made in memory, two
// made-up questions, no files. Fed by model/, objective/objective.h and train/adamw.h; used by
// train/self_check.h.
#pragma once

#include <ostream>
#include <string>

#include "bovila/dist/communicator.h"
#include "bovila/dist/libtorch.h"

namespace bovila {

/// What one step computed, on the CPU.
struct StepNumbers {
  torch::Tensor losses;    // [8] fp64, in the order of kLossNames
  torch::Tensor gradient;  // [num_trained] fp32
  torch::Tensor update;    // [num_trained] fp32: what the optimizer added to the parameters
};

/// How far a step is from another: the largest relative error of a loss, and the norms of the
/// differences of gradient and update relative to the norms.
struct StepErrors {
  double losses = 0;
  double gradient = 0;
  double update = 0;
};

/// Pure. NaN where a number is not finite.
StepErrors compare_steps(const StepNumbers& got, const StepNumbers& expected);

/// @throws ProgramError naming `what` and the first part of `errors` that is above its limit or
/// NaN.
void require_close(const StepErrors& errors, const StepErrors& limits, const std::string& what);

/// The step of the tiny LLaMA: passes, losses, gradient, AdamW. The same inputs each time.
StepNumbers take_tiny_step(torch::Device device, torch::ScalarType precision);

/// The largest errors by compare_steps that are right for fp32 or bf16 against fp32 on the CPU.
/// A step's update is compared with the one that the CPU makes of the same gradient.
StepErrors step_limits(torch::ScalarType precision);

/// Collective: every rank takes the tiny step on its device in fp32 and bf16 and compares it with
/// the CPU's in fp32; rank 0 writes the largest errors of all ranks beside their limits to `out`.
/// On a CPU fp32 repeats the reference: it proves that two steps agree, bf16 that a second set of
/// kernels does.
/// @throws AgreedError on every rank as require_close on one.
void check_step(Communicator& ranks, torch::Device device, std::ostream& out);

}  // namespace bovila
