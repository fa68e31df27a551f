// One optimizer step on several ranks against the same numbers computed by one process.
#include "bovila/train/train_step.h"

#include <doctest/doctest.h>

#include <cmath>
#include <csignal>

#include "tests/mpi/golden_parts.h"

using namespace bovila;
using torch::Tensor;

namespace {

constexpr int64_t kBatch = 2;
constexpr double kLr = 0.01;

double relative_error(const Tensor& got, const Tensor& expected) {
  return ((got - expected).norm() / expected.norm()).item<double>();
}

/// Gradient of one micro-batch's loss, computed by this process alone.
Tensor local_gradient(const StarParts& star, const std::vector<int64_t>& rows) {
  Bovila model = star.model();
  add_gradients(model, star.examples(rows), star.config.loss, star.noise());
  return model.parameters().gradient().clone();
}

/// Every rank's micro-batches of a step, as one process would run them.
StepPlan plan_of_all(std::span<const int64_t> order, int64_t accum_iter, int64_t num_ranks) {
  StepPlan all;
  for (int64_t r = 0; r < num_ranks; ++r) {
    const StepPlan plan = plan_step(order, 0, kBatch, accum_iter, r, num_ranks);
    all.num_questions = plan.num_questions;
    for (const auto& rows : plan.micro_batches) {
      if (!rows.empty()) all.micro_batches.push_back(rows);
    }
  }
  all.num_local_losses = std::ssize(all.micro_batches);
  return all;
}

/// Takes the step on all ranks and on this one alone, and compares report, gradient and parameters.
void compare_with_alone(std::span<const int64_t> order, int64_t accum_iter) {
  const StarParts star;
  auto ranks = all_ranks();
  auto alone = MpiCommunicator::self();
  const auto take = [&](Bovila& model, const StepPlan& plan, Communicator& group) {
    auto optimizer = make_optimizer(model.parameters());
    return train_step(model, optimizer, plan, star.source(plan), star.config.loss, star.noise(),
                      kLr, group, star.preemption);
  };
  Bovila ours = star.model(), theirs = star.model();
  const auto together =
      take(ours, plan_step(order, 0, kBatch, accum_iter, ranks.rank(), ranks.size()), ranks);
  const auto expected = take(theirs, plan_of_all(order, accum_iter, ranks.size()), alone);
  CHECK(together.num_micro_batches == expected.num_micro_batches);
  CHECK(together.num_questions == static_cast<int64_t>(order.size()));
  CHECK(together.gradient_norm == doctest::Approx(expected.gradient_norm).epsilon(1e-5));
  for (size_t i = 0; i < together.losses.size(); ++i) {
    CHECK(together.losses[i] == doctest::Approx(expected.losses[i]).epsilon(1e-6));
  }
  CHECK(relative_error(ours.parameters().gradient(), theirs.parameters().gradient()) < 1e-5);
  CHECK(same_on_all(ranks, ours.parameters().flat()));
}

/// How a step ended that went wrong.
struct TrainStepFailure {
  std::optional<AgreedError> error;
  StepReport report;
  std::vector<int64_t> last_ranks_rows;  // ascending
};

/// A step in which `spoil` changes the last rank's batch or throws: how it ended, and that nothing
/// was changed anywhere.
TrainStepFailure failing_step(const std::function<void(Bovila&, std::vector<Example>&)>& spoil) {
  const StarParts star;
  auto ranks = all_ranks();
  Bovila model = star.model();
  auto optimizer = make_optimizer(model.parameters());
  const bool last = ranks.rank() == ranks.size() - 1;
  const auto order = order_of(kBatch * ranks.size());
  const auto plan = plan_step(order, 0, kBatch, 1, ranks.rank(), ranks.size());
  TrainStepFailure failure;
  failure.last_ranks_rows =
      plan_step(order, 0, kBatch, 1, ranks.size() - 1, ranks.size()).micro_batches.at(0);
  std::ranges::sort(failure.last_ranks_rows);
  Tensor before;
  failure.error = agreed_error_of([&] {
    const NextBatch next = [&, source = star.source(plan)] {
      auto batch = source();
      if (last) spoil(model, batch);
      before = model.parameters().flat().clone();
      return batch;
    };
    before = model.parameters().flat().clone();
    failure.report = train_step(model, optimizer, plan, next, star.config.loss, star.noise(), kLr,
                                ranks, star.preemption);
  });
  CHECK(torch::equal(model.parameters().flat().nan_to_num(-1), before.nan_to_num(-1)));
  CHECK(optimizer.steps == 0);
  CHECK(optimizer.first_moment.abs().max().item<float>() == 0);
  CHECK(optimizer.second_moment.abs().max().item<float>() == 0);
  ranks.barrier();  // the ranks are still in step
  return failure;
}

}  // namespace

TEST_CASE("ranks step with the mean of their local gradients") {
  const StarParts star;
  auto ranks = all_ranks();
  const auto order = order_of(kBatch * ranks.size());
  Tensor mean;
  for (int r = 0; r < ranks.size(); ++r) {
    const auto plan = plan_step(order, 0, kBatch, 1, r, ranks.size());
    const auto gradient = local_gradient(star, plan.micro_batches.at(0)) / ranks.size();
    mean = mean.defined() ? mean + gradient : gradient;
  }
  Bovila model = star.model();
  auto optimizer = make_optimizer(model.parameters());
  const auto plan = plan_step(order, 0, kBatch, 1, ranks.rank(), ranks.size());
  const auto report = train_step(model, optimizer, plan, star.source(plan), star.config.loss,
                                 star.noise(), kLr, ranks, star.preemption);
  CHECK(relative_error(model.parameters().gradient(), mean) < 1e-6);
  CHECK(report.gradient_norm == doctest::Approx(mean.norm().item<double>()).epsilon(1e-6));
  CHECK(report.lr == kLr);
}

TEST_CASE(
    "a step of so many questions is the step of one rank alone, also where shares are uneven") {
  const StarParts star;
  auto ranks = all_ranks();
  auto alone = MpiCommunicator::self();
  for (const int64_t questions : {14, 9, 2}) {  // 7 micro-batches; a last short one; idle ranks
    CAPTURE(questions);
    const auto order = order_of(questions);
    const auto take = [&](Bovila& model, Communicator& group) {
      auto optimizer = make_optimizer(model.parameters());
      const auto plan = plan_dealt_step(order, 0, kBatch, 14, group.rank(), group.size());
      return train_step(model, optimizer, plan, star.source(plan), star.config.loss, star.noise(),
                        kLr, group, star.preemption);
    };
    Bovila ours = star.model(), theirs = star.model();
    const auto together = take(ours, ranks);
    const auto expected = take(theirs, alone);
    CHECK(together.num_questions == questions);
    CHECK(together.num_micro_batches == expected.num_micro_batches);
    for (size_t i = 0; i < together.losses.size(); ++i) {
      CHECK(together.losses[i] == doctest::Approx(expected.losses[i]).epsilon(1e-6));
    }
    CHECK(relative_error(ours.parameters().gradient(), theirs.parameters().gradient()) < 1e-5);
    CHECK(relative_error(ours.parameters().flat(), theirs.parameters().flat()) < 1e-5);
    CHECK(same_on_all(ranks, ours.parameters().flat()));
  }
}

TEST_CASE("a question of a short micro-batch counts what the others do, summed AQA losses too") {
  const StarParts star;
  auto ranks = all_ranks();
  const auto order = order_of(2 * kBatch + 1);
  const auto& names = kLossNames;
  const auto aqa = static_cast<size_t>(std::ranges::find(names, "loss_aqa") - names.begin());
  const auto vqa = static_cast<size_t>(std::ranges::find(names, "loss_vqa") - names.begin());
  double aqa_sum = 0, vqa_sum = 0;
  for (const int64_t row : order) {  // each question has as many VQA labels
    const Bovila model = star.model();
    const auto values =
        add_gradients(model, star.examples({row}), star.config.loss, star.noise()).values();
    aqa_sum += values[static_cast<int64_t>(aqa)].item<double>();
    vqa_sum += values[static_cast<int64_t>(vqa)].item<double>();
  }
  Bovila model = star.model();
  auto optimizer = make_optimizer(model.parameters());
  const auto plan = plan_dealt_step(order, 0, kBatch, 4 * kBatch, ranks.rank(), ranks.size());
  const auto report = train_step(model, optimizer, plan, star.source(plan), star.config.loss,
                                 star.noise(), kLr, ranks, star.preemption);
  const auto questions = static_cast<double>(order.size());
  CHECK(report.losses[vqa] == doctest::Approx(vqa_sum / questions).epsilon(1e-5));
  CHECK(report.losses[aqa] == doctest::Approx(aqa_sum / questions * kBatch).epsilon(1e-5));
}

TEST_CASE("parameters and moments have the same bits on all ranks after several steps") {
  const StarParts star;
  auto ranks = all_ranks();
  Bovila model = star.model();
  auto optimizer = make_optimizer(model.parameters());
  const auto order = order_of(star.parts.train->size());
  int64_t position = 0;
  for (int step = 0; step < 3; ++step) {
    const auto plan = plan_step(order, position, kBatch, 1, ranks.rank(), ranks.size());
    position += plan.num_questions;
    train_step(model, optimizer, plan, star.source(plan), star.config.loss, star.noise(), kLr,
               ranks, star.preemption);
  }
  CHECK(same_on_all(ranks, model.parameters().flat()));
  CHECK(same_on_all(ranks, optimizer.first_moment));
  CHECK(same_on_all(ranks, optimizer.second_moment));
  CHECK_FALSE(torch::equal(model.parameters().flat(), star.model().parameters().flat()));
}

TEST_CASE("a stop between two micro-batches on one rank leaves the step untaken on all") {
  const StarParts star;
  auto ranks = all_ranks();
  Bovila model = star.model();
  auto optimizer = make_optimizer(model.parameters());
  const auto before = model.parameters().flat().clone();
  const auto order = order_of(kBatch * 3 * ranks.size());
  const auto plan = plan_step(order, 0, kBatch, 3, ranks.rank(), ranks.size());
  int batches = 0;
  const auto take = [&](bool is_stopped) {
    const NextBatch next = [&, source = star.source(plan)] {
      if (++batches == 2 && is_stopped && ranks.rank() == ranks.size() - 1) std::raise(SIGUSR1);
      return source();
    };
    return train_step(model, optimizer, plan, next, star.config.loss, star.noise(), kLr, ranks,
                      star.preemption);
  };
  const auto report = take(true);
  CHECK(report.stopped.code == SIGUSR1);
  CHECK(report.stopped.text() == "SIGUSR1");
  CHECK(batches == 2);
  CHECK(torch::equal(model.parameters().flat(), before));
  CHECK(optimizer.steps == 0);

  // Whoever takes the step again takes the same one.
  const StarParts later;
  Bovila fresh = later.model();
  auto its_optimizer = make_optimizer(fresh.parameters());
  train_step(fresh, its_optimizer, plan, later.source(plan), later.config.loss, later.noise(), kLr,
             ranks, later.preemption);
  CHECK_FALSE(take(false).stopped);
  CHECK(torch::equal(model.parameters().flat(), fresh.parameters().flat()));
}

namespace {

/// The first questions' step on all ranks.
StepReport take_step(const StarParts& star, Bovila& model, AdamW& optimizer, Communicator& ranks) {
  const auto order = order_of(kBatch * ranks.size());
  const auto plan = plan_step(order, 0, kBatch, 1, ranks.rank(), ranks.size());
  return train_step(model, optimizer, plan, star.source(plan), star.config.loss, star.noise(), kLr,
                    ranks, star.preemption);
}

}  // namespace

TEST_CASE("a loss scale changes neither losses nor gradients, and grows when it may") {
  const StarParts star;
  auto ranks = all_ranks();
  Bovila plain = star.model(), scaled = star.model();
  auto plain_optimizer = make_optimizer(plain.parameters());
  auto optimizer = make_optimizer(scaled.parameters());
  optimizer.loss_scale = {65536, LossScale::kGrowthSteps - 1};
  const auto expected = take_step(star, plain, plain_optimizer, ranks);
  const auto report = take_step(star, scaled, optimizer, ranks);
  CHECK(report.losses == expected.losses);
  CHECK(relative_error(scaled.parameters().gradient(), plain.parameters().gradient()) < 1e-6);
  CHECK_FALSE(report.overflowed);
  CHECK(optimizer.loss_scale.value() == 2 * 65536);
  CHECK(optimizer.steps == 1);
}

TEST_CASE("gradients that overflow leave the parameters alone and halve the loss scale") {
  const StarParts star;
  auto ranks = all_ranks();
  Bovila model = star.model();
  auto optimizer = make_optimizer(model.parameters());
  optimizer.loss_scale = {std::ldexp(1.0, 127), 5};  // too much for fp32 as well
  const auto before = model.parameters().flat().clone();
  const auto report = take_step(star, model, optimizer, ranks);
  CHECK(report.overflowed);
  CHECK(report.gradient_norm == 0);
  CHECK(std::isfinite(report.losses[0]));
  CHECK(torch::equal(model.parameters().flat(), before));
  CHECK(optimizer.steps == 0);
  CHECK(optimizer.first_moment.abs().max().item<float>() == 0);
  CHECK(optimizer.loss_scale.value() == std::ldexp(1.0, 126));
  CHECK(optimizer.loss_scale.good_steps() == 0);
}

TEST_CASE("a gradient without end but with finite losses names the questions, and is no update") {
  const StarParts star;
  auto ranks = all_ranks();
  Bovila model = star.model();
  auto optimizer = make_optimizer(model.parameters());
  const bool last = ranks.rank() == ranks.size() - 1;
  if (last) {
    model.parameters().gate1(0).register_hook(
        [](const Tensor& gradient) { return gradient * std::numeric_limits<float>::infinity(); });
  }
  const auto before = model.parameters().flat().clone();
  const auto report = take_step(star, model, optimizer, ranks);
  CHECK(report.non_finite.starts_with("the gradient's norm is "));
  CHECK(std::isfinite(report.losses[0]));
  CHECK(report.suspects.size() == kBatch);
  CHECK(torch::equal(model.parameters().flat(), before));
  CHECK(optimizer.steps == 0);
}

TEST_CASE("a clipped gradient has the norm of the deck, its direction, and its own norm reported") {
  const StarParts star;
  auto ranks = all_ranks();
  Bovila plain = star.model(), clipped = star.model();
  auto plain_optimizer = make_optimizer(plain.parameters());
  auto optimizer = make_optimizer(clipped.parameters());
  const auto expected = take_step(star, plain, plain_optimizer, ranks);
  optimizer.clip_norm = expected.gradient_norm / 4;
  const auto report = take_step(star, clipped, optimizer, ranks);
  CHECK(report.gradient_norm == expected.gradient_norm);
  const auto gradient = clipped.parameters().gradient();
  CHECK(gradient.norm().item<double>() == doctest::Approx(optimizer.clip_norm).epsilon(1e-4));
  CHECK(relative_error(gradient * 4, plain.parameters().gradient()) < 1e-4);

  Bovila unclipped = star.model();
  auto its_optimizer = make_optimizer(unclipped.parameters());
  its_optimizer.clip_norm = expected.gradient_norm * 1.01;
  take_step(star, unclipped, its_optimizer, ranks);
  CHECK(torch::equal(unclipped.parameters().flat(), plain.parameters().flat()));
}

TEST_CASE("layers that are computed again in the backward pass give the same bits") {
  const StarParts star;
  auto ranks = all_ranks();
  Bovila kept = star.model();
  Bovila recomputed(Llama(kept.llama().weights(), /*recompute=*/true), star.model().parameters());
  auto kept_optimizer = make_optimizer(kept.parameters());
  auto optimizer = make_optimizer(recomputed.parameters());
  const auto expected = take_step(star, kept, kept_optimizer, ranks);
  const auto report = take_step(star, recomputed, optimizer, ranks);
  CHECK(report.losses == expected.losses);
  CHECK(report.gradient_norm == expected.gradient_norm);
  CHECK(report.gradient_norm > 0);
  CHECK(torch::equal(recomputed.parameters().gradient(), kept.parameters().gradient()));
}

TEST_CASE("a full accumulation on N ranks is the same step computed alone") {
  compare_with_alone(order_of(kBatch * 2 * all_ranks().size()), 2);
}

TEST_CASE("an incomplete last accumulation is divided by the micro-batches that it has") {
  // The second micro-batch of the step has a single question: one rank has it, the others have
  // none.
  compare_with_alone(order_of(kBatch * all_ranks().size() + 1), 2);
}

TEST_CASE("a step of a single question is that question's step on any number of ranks") {
  compare_with_alone(order_of(1), 2);
}

TEST_CASE("a NaN in one rank's features is in all ranks' reports, with that rank's questions") {
  const TrainStepFailure failure = failing_step([](Bovila&, std::vector<Example>& batch) {
    batch.front().frames.front() = std::numeric_limits<float>::quiet_NaN();
  });
  CHECK_FALSE(failure.error);
  CHECK(failure.report.non_finite.find(" is nan") != std::string::npos);
  CHECK(failure.report.suspects == failure.last_ranks_rows);
  CHECK(failure.report.is_skipped());
}

TEST_CASE("an infinite parameter on one rank is in all ranks' reports") {
  const TrainStepFailure failure = failing_step([](Bovila& model, std::vector<Example>&) {
    const torch::NoGradGuard no_grad;
    model.parameters().temporal_emb().detach().fill_(std::numeric_limits<float>::infinity());
  });
  CHECK_FALSE(failure.error);
  CHECK(failure.report.non_finite.find(" is nan") != std::string::npos);
  CHECK(failure.report.suspects == failure.last_ranks_rows);
}

TEST_CASE("an error of one rank's batch source is every rank's, with its exit code") {
  const auto error = failing_step([](Bovila&, std::vector<Example>&) {
                       throw UserError("frame 3 of video 'S0' is damaged");
                     }).error;
  REQUIRE(error);
  CHECK(error->code == ExitCode::kUserError);
  CHECK(std::string(error->what()).find("frame 3 of video 'S0' is damaged") != std::string::npos);
}
