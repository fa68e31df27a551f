// Training and evaluation as the program does them, number by number against a golden run's.
#include "tests/golden/runs.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "bovila/core/error.h"
#include "bovila/dist/communicator.h"
#include "bovila/evaluation/evaluator.h"
#include "bovila/objective/objective.h"
#include "bovila/train/adamw.h"
#include "bovila/train/schedule.h"

namespace golden {

using namespace bovila;

namespace {

constexpr int64_t kTokensAtOnce = 200;  // several parts a micro-batch

double relative(double got, double expected) {
  return std::abs(got - expected) / std::max(std::abs(expected), 1e-12);
}

void check_close(double got, double expected, double tolerance, const std::string& what) {
  INFO(what, ": expected ", expected, ", got ", got);
  CHECK(relative(got, expected) < tolerance);
}

/// The noise that the published code drew for each question of a micro-batch.
NoiseSource recorded_noise(const Run& run, int64_t micro) {
  return [&run, micro, rows = run.rows(micro)](const Example& example, int64_t num_tokens) {
    const auto i = std::ranges::find(rows, example.row) - rows.begin();
    auto noise = run.read(fmt::format("/train/micro{}/gumbel{}", micro, i));
    REQUIRE(noise.size(0) == num_tokens);
    return noise;
  };
}

void check_losses(const Run& run, int64_t micro, const Losses& losses,
                  const Tolerances& tolerances) {
  const auto values = losses.values();
  int compared = 0;
  for (size_t i = 0; i < kLossNames.size(); ++i) {
    const std::string name(kLossNames[i]);
    const auto expected = run.loss(micro, name);
    if (!expected) continue;
    ++compared;
    check_close(values[static_cast<int64_t>(i)].item<double>(), *expected, tolerances.loss,
                fmt::format("{} micro-batch {} {}", run.name(), micro, name));
  }
  CHECK(compared >= 2);
}

void check_step(const Run& run, int64_t step, const AdapterParameters& parameters, double lr,
                const Tolerances& tolerances) {
  check_close(parameters.gradient().norm().item<double>(), run.step_number(step, "grad_norm"),
              tolerances.gradient, fmt::format("{} step {} gradient norm", run.name(), step));
  CHECK(lr == doctest::Approx(run.step_number(step, "lr")).epsilon(1e-9));
  for (const NamedParameter& entry : parameters.names()) {
    const std::string path = fmt::format("/train/step{}/grad/{}", step, entry.name);
    if (!run.has(path)) continue;
    const auto expected = run.read(path);
    const auto got = parameters.at(entry.name).grad().view_as(expected).cpu();
    const double scale = expected.norm().item<double>();
    const double error = (got - expected).norm().item<double>() / std::max(scale, 1e-12);
    INFO(run.name(), " step ", step, " gradient of ", entry.name, ", norm ", scale);
    CHECK(error < tolerances.gradient);
  }
}

void check_norms_after(const Run& run, int64_t step, const AdapterParameters& parameters,
                       const Tolerances& tolerances) {
  for (const NamedParameter& entry : parameters.names()) {
    const std::string name = "param_norm/" + entry.name;
    if (!run.has_attribute(fmt::format("/train/step{}", step), name)) continue;
    check_close(parameters.at(entry.name).norm().item<double>(), run.step_number(step, name),
                tolerances.norm, fmt::format("{} step {} {}", run.name(), step, name));
  }
}

/// Parameters after the last step; `start` is the flat buffer before the first, on the CPU.
void check_final(const Run& run, const AdapterParameters& parameters, const torch::Tensor& start,
                 const Tolerances& tolerances) {
  size_t compared = 0;
  for (const NamedParameter& entry : parameters.names()) {
    if (!run.has("/final/" + entry.name)) continue;
    ++compared;
    const auto expected = run.read("/final/" + entry.name);
    const auto error = parameters.at(entry.name).detach().cpu().view_as(expected) - expected;
    const auto moved = expected - start.narrow(0, entry.offset, entry.numel).view_as(expected);
    INFO(run.name(), " ", entry.name, " after the last step");
    CHECK(error.abs().max().item<double>() <
          tolerances.parameter * std::max(1.0, expected.abs().max().item<double>()));
    CHECK(error.norm().item<double>() <= tolerances.movement * moved.norm().item<double>());
  }
  CHECK(compared > 0);
  CHECK(compared == run.list("/final").size());
}

/// Whether the best of a question's options stays so when each loss [O] is off by the tolerance.
bool is_clear(const torch::Tensor& loss_O, double tolerance) {
  const auto best = std::get<0>(loss_O.sort());
  return (best[1] - best[0]).item<double>() >
         tolerance * (best[0].abs() + best[1].abs()).item<double>();
}

}  // namespace

void check_training(const Run& run, const Arithmetic& arithmetic) {
  const auto& [device, precision, tolerances, group] = arithmetic;
  const Parts parts = make_parts(run);
  Bovila model = make_model(run, *parts.tokenizer, precision, device, group);
  const Config& config = run.config();
  auto& parameters = model.parameters();
  AdamW optimizer(parameters.num_trained(), parameters.num_decayed(), config.train.weight_decay,
                  device);
  const auto start = parameters.flat().cpu().clone();
  const int64_t per_step = config.train.accum_iter;
  const int64_t micros_per_epoch = parts.train->size() / config.train.batch_size;
  REQUIRE(run.num_micro_batches() == run.num_steps() * per_step);
  REQUIRE(run.num_steps() > 0);
  for (int64_t step = 0; step < run.num_steps(); ++step) {
    parameters.gradient().zero_();
    for (int64_t micro = step * per_step; micro < (step + 1) * per_step; ++micro) {
      std::vector<Example> batch;
      for (const int64_t row : run.rows(micro)) batch.push_back(parts.train->example(row));
      const auto losses =
          add_gradients(model, batch, config.loss, recorded_noise(run, micro), {1, kTokensAtOnce});
      check_losses(run, micro, losses, tolerances);
    }
    model.complete_gradient();
    parameters.gradient().div_(static_cast<double>(per_step));
    const double epoch =
        static_cast<double>(step * per_step) / static_cast<double>(micros_per_epoch);
    const double lr = learning_rate(config.train, base_learning_rate(config.train, 1), epoch);
    check_step(run, step, parameters, lr, tolerances);
    optimizer.step(parameters.flat().narrow(0, 0, parameters.num_trained()), parameters.gradient(),
                   lr);
    check_norms_after(run, step, parameters, tolerances);
  }
  check_final(run, parameters, start, tolerances);
}

void check_evaluation(const Run& run, const Arithmetic& arithmetic) {
  const auto& [device, precision, tolerances, group] = arithmetic;
  const Parts parts = make_parts(run);
  const Bovila model = make_model(run, *parts.tokenizer, precision, device, group);
  MpiCommunicator alone = MpiCommunicator::self();
  const Preemption preemption;
  const auto [scores, stopped, num_over_long] =
      evaluate(model, *parts.val, run.config(), alone, preemption, {}, [](int64_t, int64_t) {});
  REQUIRE_FALSE(stopped);
  const auto loss = run.read("/eval/option_loss");
  // Flipped-VQA has no uncertainty: 0 is expected.
  const auto uncertainty =
      run.has("/eval/uncertainty") ? run.read("/eval/uncertainty") : torch::zeros_like(loss);
  const auto prediction = run.read("/eval/prediction");
  REQUIRE(static_cast<int64_t>(scores.size()) == loss.size(0));
  int64_t right = 0, unclear = 0;
  for (const OptionScores& score : scores) {
    const int64_t row = score.row;
    REQUIRE(static_cast<int64_t>(score.loss.size()) == loss.size(1));
    for (int64_t k = 0; k < loss.size(1); ++k) {
      const auto i = static_cast<size_t>(k);
      check_close(score.loss[i], loss[row][k].item<double>(), tolerances.loss,
                  fmt::format("{} question {} option {}", run.name(), row, k));
      check_close(score.uncertainty[i], uncertainty[row][k].item<double>(), tolerances.loss,
                  fmt::format("{} question {} uncertainty {}", run.name(), row, k));
    }
    if (!is_clear(loss[row], tolerances.loss)) {
      ++unclear;
    } else {
      CHECK(score.prediction() == prediction[row].item<int64_t>());
    }
    if (score.prediction() == parts.val->sample(row).answer) ++right;
  }
  const double expected_right =
      run.attribute("/", "eval_accuracy") * static_cast<double>(scores.size());
  CHECK(std::abs(static_cast<double>(right) - expected_right) <
        static_cast<double>(unclear) + 1e-3);
}

void check_runs(const std::string& first, const Arithmetic& arithmetic) {
  const auto runs = runs_of(first);
  CHECK(!runs.empty());
  for (const std::string& name : runs) {
    CAPTURE(name);
    const Run run(name);
    check_training(run, arithmetic);
    check_evaluation(run, arithmetic);
  }
}

}  // namespace golden
