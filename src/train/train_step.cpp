// The step reads as its header's first line; the helpers hide the bookkeeping.
#include "bovila/train/train_step.h"

#include <ATen/record_function.h>

#include <algorithm>
#include <cmath>

#include "bovila/core/error.h"
#include "bovila/dist/group_rounds.h"
#include "bovila/train/non_finite.h"

namespace bovila {
namespace {

using torch::Tensor;

constexpr auto kNumLosses = static_cast<int64_t>(kLossNames.size());

std::vector<int64_t> rows_of(const std::vector<Example>& batch) {
  std::vector<int64_t> rows;
  rows.reserve(batch.size());
  for (const Example& example : batch) rows.push_back(example.row);
  return rows;
}

/// With the gate a micro-batch adds up its questions' AQA losses, so that one of a smaller weight
/// would count each of them less.
LossConfig weighted(LossConfig config, double weight) {
  if (config.gates_aqa()) config.aqa /= weight;
  return config;
}

/// Forward and backward of one micro-batch. `weight` times its losses are added to `sums`
/// [kNumLosses], fp64 on the model's device, its gradients, scaled too, to the parameters' flat
/// gradient. No host synchronisation.
void add_up(Bovila& model, const std::vector<Example>& batch, const LossConfig& config,
            const NoiseSource& noise, double scale, double weight, Tensor& sums, StepTrace& trace) {
  const auto values = add_gradients(model, batch, weighted(config, weight), noise,
                                    {scale * weight, config.tokens_at_once})
                          .values()
                          .to(torch::kFloat64);
  sums += values * weight;
  trace.add(rows_of(batch), values, model.parameters().gradient());
}

std::vector<Example> next_batch(const NextBatch& next) {
  RECORD_USER_SCOPE("wait for batch");
  return next();
}

/// Tokens of the passes over these prompts.
int64_t tokens_of(const std::vector<Example>& batch, const LossConfig& config) {
  const bool asks = config.vaq > 0 || config.aqa > 0;
  int64_t tokens = 0;
  for (const Example& example : batch) {
    tokens += example.vqa.size() * (config.aqa > 0 ? 2 : 1);
    tokens += (asks ? example.vaq.size() : 0) + (config.qav > 0 ? example.qav.size() : 0);
  }
  return tokens;
}

/// "loss_vaq is nan", or "" when all numbers are finite or a smaller loss scale may mend them.
std::string find_non_finite(const StepReport& report, const LossScale& scale) {
  for (size_t i = 0; i < kLossNames.size(); ++i) {
    if (std::isfinite(report.losses[i])) continue;
    return fmt::format("{} is {}", kLossNames[i], name_of(report.losses[i]));
  }
  const bool may_overflow = scale.is_dynamic() && scale.value() > LossScale::kSmallest;
  if (may_overflow || std::isfinite(report.gradient_norm)) return "";
  return fmt::format("the gradient's norm is {}", name_of(report.gradient_norm));
}

/// Losses, the gradient's norm and the gates, in the one transfer to the host of a step.
StepReport read_report(const Tensor& sums, const Tensor& gradient,
                       const AdapterParameters& parameters, const StepPlan& plan, double lr,
                       Communicator& ranks) {
  RECORD_USER_SCOPE("report");
  const auto gates = parameters.gates();  // [adapter_layers, 2, H]
  const auto others = torch::stack(
      {gradient.norm(), gates.select(1, 0).tanh().abs().mean(), gates.select(1, 1).mean()});
  const auto numbers = torch::cat({sums / plan.total_weight(), others.to(torch::kFloat64)});
  ranks.synchronize();
  const auto host = numbers.cpu();
  const double* values = host.data_ptr<double>();
  StepReport report;
  std::copy_n(values, kNumLosses, report.losses.begin());
  report.gradient_norm = values[kNumLosses];
  report.gate1 = values[kNumLosses + 1];
  report.gate2 = values[kNumLosses + 2];
  report.lr = lr;
  report.num_questions = plan.num_questions;
  report.num_micro_batches = plan.num_local_losses;
  return report;
}

/// A number in which every bit of an fp32 tensor counts.
Tensor checksum(const Tensor& values) {
  return values.view(torch::kInt32).sum(torch::kInt64);
}

/// Collective.
void reduce(Bovila& model, Tensor& gradient, Tensor& sums, const RankGrid& ranks) {
  RECORD_USER_SCOPE("all-reduce");
  model.complete_gradient();
  ranks.data().all_reduce(gradient, ReduceOp::kSum);
  ranks.data().all_reduce(sums, ReduceOp::kSum);
}

/// @throws ProgramError where this rank's losses are others than those of its group's first rank:
/// then the parts are not of one model, or the ranks do not compute alike.
void require_alike(const Tensor& mine, const Tensor& first, const Communicator& group) {
  constexpr double kAlike = 1e-3;                                                     // relative
  const auto off = ((mine - first).abs() > kAlike * first.abs()).any().item<bool>();  // NaN: no
  if (!off) return;
  throw ProgramError(
      "{}: the ranks of a group compute different losses, here {:.9g} in all and on its first rank "
      "{:.9g}: they have parts of different models, or their processors differ",
      group.who(), mine[0].item<double>(), first[0].item<double>());
}

/// Collective: the ranks of a group take the gradient and the losses of its first, since on GPUs
/// two may compute the same with another last bit. @return whether this rank's gradient had those
/// bits.
/// @throws as require_alike.
bool take_numbers_of_group(Tensor& gradient, Tensor& sums, Communicator* group) {
  if (group == nullptr) return true;
  const auto my_bits = checksum(gradient), my_sums = sums.clone();
  auto bits = my_bits.clone();
  for (Tensor* numbers : {&bits, &gradient, &sums}) group->broadcast(*numbers, 0);
  group->synchronize();
  require_alike(my_sums, sums, *group);
  return torch::equal(my_bits, bits);
}

void update(AdapterParameters& parameters, AdamW& optimizer, Tensor& gradient,
            const StepReport& report) {
  RECORD_USER_SCOPE("AdamW");
  const double factor = optimizer.clip_factor(report.gradient_norm);
  if (factor < 1) gradient.mul_(factor);
  optimizer.step(parameters.flat().narrow(0, 0, parameters.num_trained()), gradient, report.lr);
}

}  // namespace

StepReport train_step(Bovila& model, AdamW& optimizer, const StepPlan& plan, const NextBatch& next,
                      const LossConfig& config, const NoiseSource& noise, double lr,
                      const RankGrid& ranks, const Preemption& preemption) {
  auto& parameters = model.parameters();
  auto gradient = parameters.gradient();
  gradient.zero_();
  LossScale& scale = optimizer.loss_scale;
  auto sums = torch::zeros({kNumLosses}, gradient.options().dtype(torch::kFloat64));
  StepTrace trace;
  GroupRounds rounds(ranks);
  StepTimes times;
  Stopwatch watch;
  for (size_t m = 0; m < plan.micro_batches.size(); ++m) {
    if (const StopReason reason = preemption.agreed(ranks.all())) return {.stopped = reason};
    times.others_s += watch.lap();
    if (plan.micro_batches[m].empty()) continue;
    std::vector<Example> batch;
    const auto fetch = [&] {
      batch = next_batch(next);
      times.data_s += watch.lap();
      times.tokens += tokens_of(batch, config);
    };
    rounds.run(fetch, [&] {
      add_up(model, batch, config, noise, scale.value(), plan.weight(m), sums, trace);
      times.compute_s += watch.lap();
    });
  }
  rounds.agree();
  reduce(model, gradient, sums, ranks);
  const bool has_bits_of_group = take_numbers_of_group(gradient, sums, ranks.tensor());
  gradient.div_(plan.total_weight() * scale.value());

  StepReport report = read_report(sums, gradient, parameters, plan, lr, ranks.data());
  times.others_s += watch.lap();
  report.times = times;
  report.has_bits_of_group = has_bits_of_group;
  report.non_finite = find_non_finite(report, scale);
  if (!report.non_finite.empty()) {
    report.suspects = trace.suspects(ranks.all());
    return report;
  }
  report.overflowed = !std::isfinite(report.gradient_norm);
  if (report.overflowed) {
    report.gradient_norm = 0;
  } else {
    update(parameters, optimizer, gradient, report);
    report.times.update_s = watch.lap();
  }
  scale.update(report.overflowed);
  return report;
}

}  // namespace bovila
