// The step reads as its header's first line; the helpers hide the bookkeeping.
#include "bovila/train/train_step.h"

#include <cmath>

#include "bovila/dist/agreement.h"

namespace bovila {
namespace {

using torch::Tensor;

constexpr auto kNumLosses = static_cast<int64_t>(Losses::kNames.size());

/// Forward and backward of one micro-batch. Its losses go to `sums` [kNumLosses], fp64 on the CPU,
/// its gradients to the parameters' flat gradient.
void add_up(Bovila& model, const std::vector<Example>& batch, const LossConfig& config,
            const NoiseSource& noise, Tensor& sums) {
  const auto losses = compute_losses(model, batch, config, noise);
  losses.total.backward();
  sums += losses.values().to(torch::kFloat64).cpu();
}

void require_finite(const StepReport& report) {
  for (size_t i = 0; i < Losses::kNames.size(); ++i) {
    if (!std::isfinite(report.losses[i])) {
      throw AgreedError(ExitCode::kFailure,
                        fmt::format("{} is {}: training stopped on all ranks before the update. A "
                                    "smaller lr or precision = \"fp32\" may help",
                                    Losses::kNames[i], report.losses[i]));
    }
  }
  if (!std::isfinite(report.gradient_norm)) {
    throw AgreedError(ExitCode::kFailure,
                      fmt::format("the gradient's norm is {}: training stopped on all ranks before "
                                  "the update. A smaller lr may help",
                                  report.gradient_norm));
  }
}

}  // namespace

StepReport train_step(Bovila& model, AdamW& optimizer, const StepPlan& plan, const NextBatch& next,
                      const LossConfig& config, const NoiseSource& noise, double lr,
                      Communicator& ranks, const Preemption& preemption) {
  auto& parameters = model.parameters();
  auto gradient = parameters.gradient();
  gradient.zero_();
  auto sums = torch::zeros({kNumLosses}, torch::kFloat64);
  LocalError error;
  for (const auto& rows : plan.micro_batches) {
    if (const StopReason reason = preemption.agreed(ranks)) return {.stopped = reason};
    if (rows.empty() || error.code != ExitCode::kSuccess) continue;
    error = run_local([&] { add_up(model, next(), config, noise, sums); });
  }
  agree(ranks, error);
  ranks.all_reduce(gradient, ReduceOp::kSum);
  ranks.all_reduce(sums, ReduceOp::kSum);
  const auto count = static_cast<double>(plan.num_local_losses);
  gradient.div_(count);

  StepReport report;
  for (int64_t i = 0; i < kNumLosses; ++i) {
    report.losses[static_cast<size_t>(i)] = sums[i].item<double>() / count;
  }
  report.gradient_norm = gradient.norm().item<double>();
  report.lr = lr;
  report.num_questions = plan.num_questions;
  report.num_micro_batches = plan.num_local_losses;
  require_finite(report);
  optimizer.step(parameters.flat().narrow(0, 0, parameters.num_trained()), gradient, lr);
  return report;
}

}  // namespace bovila
