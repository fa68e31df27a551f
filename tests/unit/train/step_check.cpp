// The tiny step repeats, reaches every loss and every parameter, and a step that is off is refused.
#include "bovila/train/step_check.h"

#include <doctest/doctest.h>

#include <limits>
#include <sstream>

#include "bovila/core/error.h"
#include "bovila/dist/communicator.h"
#include "bovila/objective/loss_names.h"

using namespace bovila;

namespace {

const StepNumbers& cpu_step() {
  static const StepNumbers step = take_tiny_step(torch::kCPU, torch::kFloat32);
  return step;
}

/// The numbers of cpu_step(), to be changed.
StepNumbers copy_of_step() {
  return {cpu_step().losses.clone(), cpu_step().gradient.clone(), cpu_step().update.clone()};
}

/// What is said about a step that `spoil` has changed; empty when it is let through.
std::string refusal(const std::function<void(StepNumbers&)>& spoil) {
  auto step = copy_of_step();
  spoil(step);
  try {
    require_close(compare_steps(step, cpu_step()), step_limits(torch::kFloat32), "the step");
  } catch (const ProgramError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("the tiny step is the same each time") {
  const auto errors = compare_steps(take_tiny_step(torch::kCPU, torch::kFloat32), cpu_step());
  CHECK(errors.losses == 0);
  CHECK(errors.gradient == 0);
  CHECK(errors.update == 0);
}

TEST_CASE("the tiny step has every loss, and a gradient nearly everywhere") {
  CHECK(cpu_step().losses.min().item<double>() > 1e-6);
  CHECK(cpu_step().losses.numel() == std::ssize(kLossNames));
  const auto& gradient = cpu_step().gradient;
  CHECK(gradient.count_nonzero().item<int64_t>() > gradient.numel() * 99 / 100);
  CHECK(cpu_step().update.abs().max().item<float>() == doctest::Approx(0.01).epsilon(0.5));
}

TEST_CASE("a step in bf16 is near the one in fp32, and fp32's limits refuse it") {
  auto step = take_tiny_step(torch::kCPU, torch::kBFloat16);
  step.update = cpu_step().update;
  const auto errors = compare_steps(step, cpu_step());
  CHECK_NOTHROW(require_close(errors, step_limits(torch::kBFloat16), "bf16"));
  CHECK_THROWS_AS(require_close(errors, step_limits(torch::kFloat32), "bf16"), ProgramError);
}

TEST_CASE("a step that is off is refused with the part that is") {
  CHECK(refusal([](StepNumbers&) {}).empty());
  CHECK(refusal([](StepNumbers& step) { step.losses[5] *= 1.001; }) ==
        "the step differs from the CPU's: the relative error of its losses is 1.00e-03, expected "
        "at most 1e-04. The device or its libraries compute wrong numbers; run on another one to "
        "see which");
  CHECK(refusal([](StepNumbers& step) { step.gradient *= -1; }).find("its gradient is 2.00e+00") !=
        std::string::npos);
  CHECK(refusal([](StepNumbers& step) { step.update *= 1.1; }).find("its update is 1.00e-01") !=
        std::string::npos);
}

TEST_CASE("numbers that are not finite are refused") {
  const auto nan = std::numeric_limits<float>::quiet_NaN();
  const auto infinity = std::numeric_limits<float>::infinity();
  CHECK(refusal([=](StepNumbers& s) { s.losses[6] = nan; }).find("losses is not finite") !=
        std::string::npos);
  CHECK(refusal([=](StepNumbers& s) { s.gradient[3] = nan; }).find("gradient is not finite") !=
        std::string::npos);
  CHECK(refusal([=](StepNumbers& s) { s.update[0] = infinity; }).find("update is not finite") !=
        std::string::npos);
}

TEST_CASE("one rank's step is told with its errors and their limits") {
  auto alone = MpiCommunicator::self();
  std::ostringstream out;
  check_step(alone, torch::kCPU, out);
  CHECK(out.str().find("  fp32 on the CPU  losses 0.0e+00 (1e-04)") != std::string::npos);
  CHECK(out.str().find("  bf16 on the CPU  losses ") != std::string::npos);
}
