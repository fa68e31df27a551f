// Ranks that hold a model together do what one rank does alone.
#include <doctest/doctest.h>

#include <csignal>

#include "bovila/core/error.h"
#include "bovila/dist/group_rounds.h"
#include "bovila/evaluation/questioner.h"
#include "bovila/model/group_sum.h"
#include "tests/mpi/golden_parts.h"

using namespace bovila;
using torch::Tensor;

namespace {

constexpr int64_t kGroupBatch = 2;
constexpr double kGroupLr = 0.01;

/// Groups of two ranks, or of one where that does not come out even.
struct Grid {
  Grid() : Grid(all_ranks().size() % 2 == 0 ? 2 : 1) {}
  explicit Grid(int64_t parts)
      : all(all_ranks()), node_handle(test_session->node()), node(node_handle.get(), 60) {
    if (parts > 1) groups.emplace(all, node, parts);
  }

  RankGrid ranks() {
    return groups ? RankGrid(all, groups->data(), groups->tensor()) : RankGrid(all);
  }
  int64_t place() { return groups ? groups->tensor().rank() : 0; }
  int64_t parts() { return groups ? groups->tensor().size() : 1; }

  MpiCommunicator all;
  MpiComm node_handle;
  MpiCommunicator node;
  std::optional<GridCommunicators> groups;
};

Bovila model_of(const StarParts& star, const RankGrid& ranks, bool recompute = false) {
  const Bovila made = golden::make_model(star.run, *star.parts.tokenizer, torch::kFloat32,
                                         torch::kCPU, ranks.tensor());
  return {Llama(made.llama().weights(), recompute, ranks.tensor()), made.parameters()};
}

double difference(const Tensor& got, const Tensor& expected) {
  return ((got - expected).norm() / expected.norm()).item<double>();
}

StepPlan plan_of(const RankGrid& ranks, int64_t num_questions) {
  Communicator& sharers = ranks.data();
  return plan_step(order_of(num_questions), 0, kGroupBatch, 2, sharers.rank(), sharers.size());
}

/// All groups' micro-batches, as one process would run them.
StepPlan plan_alone(const RankGrid& ranks, int64_t num_questions) {
  StepPlan all;
  for (int64_t g = 0; g < ranks.data().size(); ++g) {
    const StepPlan plan =
        plan_step(order_of(num_questions), 0, kGroupBatch, 2, g, ranks.data().size());
    all.num_questions = plan.num_questions;
    for (const auto& rows : plan.micro_batches) {
      if (!rows.empty()) all.micro_batches.push_back(rows);
    }
  }
  all.num_local_losses = std::ssize(all.micro_batches);
  return all;
}

}  // namespace

TEST_CASE("groups are neighbours, and a rank's counterparts are one of each group") {
  Grid grid;
  const auto ranks = grid.ranks();
  const int64_t parts = grid.parts(), rank = grid.all.rank();
  CHECK(parts * ranks.data().size() == grid.all.size());
  CHECK(ranks.data().rank() == (parts > 1 ? rank / parts : rank));
  CHECK(grid.place() == (parts > 1 ? rank % parts : 0));
  if (!grid.groups) return;
  CHECK(grid.groups->node_data().size() == ranks.data().size());  // one node
  ranks.set_stage("step 3");
  CHECK(ranks.tensor()->who() ==
        fmt::format("rank {} of {}, its group of {} (step 3)", rank, grid.all.size(), parts));
  CHECK(ranks.data().who() == fmt::format("rank {} of {}, across groups of {} (step 3)", rank,
                                          grid.all.size(), ranks.data().size()));
}

TEST_CASE("ranks that make no whole groups are refused, on all ranks alike") {
  const auto parts = all_ranks().size() + 1;
  const auto error = agreed_error_of([&] { Grid grid(parts); });
  REQUIRE(error);
  CHECK(error->code == ExitCode::kUserError);
  CHECK(std::string(error->what())
            .starts_with(fmt::format("run.tensor_parallel is {}, and ", parts)));
}

TEST_CASE("a sum has the gradient of its terms, and what is shared the sum of the gradients") {
  Grid grid;
  Communicator* group = grid.ranks().tensor();
  const auto parts = static_cast<double>(grid.parts());
  const auto mine = static_cast<double>(grid.place() + 1);
  const double all = parts * (parts + 1) / 2;
  for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
    const auto x = torch::full({3, 2}, mine, type).requires_grad_();
    const auto sum = sum_over_group(x, group);
    CHECK((sum.scalar_type() == type));
    CHECK((sum == (group ? all : mine)).all().item<bool>());
    (sum * mine).sum().backward();
    CHECK((x.grad() == mine).all().item<bool>());

    const auto y = torch::full({3, 2}, 2.0, type).requires_grad_();
    const auto shared = share_with_group(y, group);
    CHECK(torch::equal(shared, y));
    (shared * mine).sum().backward();
    CHECK((y.grad() == (group ? all : mine)).all().item<bool>());
  }
}

TEST_CASE("groups of ranks step as one rank a group would, recomputed layers too") {
  const StarParts star;
  Grid grid;
  const auto ranks = grid.ranks();
  auto alone = MpiCommunicator::self();
  const int64_t count = 2 * kGroupBatch * ranks.data().size();
  Bovila theirs = star.model();
  auto its_optimizer = make_optimizer(theirs.parameters());
  const auto plan = plan_alone(ranks, count);
  const auto expected = train_step(theirs, its_optimizer, plan, star.source(plan), star.config.loss,
                                   star.noise(), kGroupLr, alone, star.preemption);
  for (const bool recompute : {false, true}) {
    Bovila ours = model_of(star, ranks, recompute);
    auto optimizer = make_optimizer(ours.parameters());
    const auto mine = plan_of(ranks, count);
    const auto report = train_step(ours, optimizer, mine, star.source(mine), star.config.loss,
                                   star.noise(), kGroupLr, ranks, star.preemption);
    CHECK(report.num_questions == count);
    CHECK(report.num_micro_batches == expected.num_micro_batches);
    CHECK(report.gradient_norm == doctest::Approx(expected.gradient_norm).epsilon(1e-5));
    for (size_t i = 0; i < report.losses.size(); ++i) {
      CHECK(report.losses[i] == doctest::Approx(expected.losses[i]).epsilon(1e-5));
    }
    for (const NamedParameter& entry : ours.parameters().names()) {
      const auto& got = ours.parameters().at(entry.name).grad();
      if (!got.defined()) continue;
      CAPTURE(entry.name);
      CHECK(difference(got, theirs.parameters().at(entry.name).grad()) < 1e-4);
    }
    CHECK(same_on_all(grid.all, ours.parameters().flat()));
    CHECK(same_on_all(grid.all, optimizer.first_moment));
  }
}

TEST_CASE("groups without questions of a short last step keep in step") {
  const StarParts star;
  Grid grid;
  const auto ranks = grid.ranks();
  Bovila ours = model_of(star, ranks);
  auto optimizer = make_optimizer(ours.parameters());
  const auto plan = plan_of(ranks, 1);
  const auto report = train_step(ours, optimizer, plan, star.source(plan), star.config.loss,
                                 star.noise(), kGroupLr, ranks, star.preemption);
  CHECK(report.num_micro_batches == 1);
  CHECK(same_on_all(grid.all, ours.parameters().flat()));
}

TEST_CASE("an error in one rank's batch is all ranks', and nobody waits for it in a sum") {
  const StarParts star;
  Grid grid;
  const auto ranks = grid.ranks();
  Bovila ours = model_of(star, ranks);
  auto optimizer = make_optimizer(ours.parameters());
  const auto before = ours.parameters().flat().clone();
  const auto plan = plan_of(ranks, 2 * kGroupBatch * ranks.data().size());
  const bool last = grid.all.rank() == grid.all.size() - 1;
  const auto error = agreed_error_of([&] {
    const NextBatch next = [&, source = star.source(plan)] {
      if (last) throw UserError("frame 3 of video 'S0' is damaged");
      return source();
    };
    train_step(ours, optimizer, plan, next, star.config.loss, star.noise(), kGroupLr, ranks,
               star.preemption);
  });
  REQUIRE(error);
  CHECK(error->code == ExitCode::kUserError);
  CHECK(std::string(error->what()).starts_with("frame 3 of video 'S0' is damaged"));
  CHECK(torch::equal(ours.parameters().flat(), before));
}

TEST_CASE("a NaN names its questions once, though all ranks of a group have them") {
  const StarParts star;
  Grid grid;
  const auto ranks = grid.ranks();
  Bovila ours = model_of(star, ranks);
  auto optimizer = make_optimizer(ours.parameters());
  const auto plan = plan_of(ranks, 2 * kGroupBatch * ranks.data().size());
  const bool last_group = ranks.data().rank() == ranks.data().size() - 1;
  const NextBatch next = [&, source = star.source(plan), first = true]() mutable {
    auto batch = source();
    if (last_group && std::exchange(first, false)) {
      batch.front().frames.front() = std::numeric_limits<float>::quiet_NaN();
    }
    return batch;
  };
  const auto report = train_step(ours, optimizer, plan, next, star.config.loss, star.noise(),
                                 kGroupLr, ranks, star.preemption);
  CHECK(report.non_finite.find(" is nan") != std::string::npos);
  // Its own gradient is spoilt once; the losses of its other micro-batch are fine.
  CHECK(report.suspects.size() == kGroupBatch);
}

TEST_CASE("a rank that computes other last bits knows it, and takes those of its group") {
  const StarParts star;
  Grid grid;
  const auto ranks = grid.ranks();
  if (ranks.tensor() == nullptr) return;
  for (const bool differs : {false, true}) {
    CAPTURE(differs);
    Bovila ours = model_of(star, ranks);
    auto optimizer = make_optimizer(ours.parameters());
    const bool is_other = differs && ranks.tensor()->rank() == 1;
    if (is_other) {
      const torch::NoGradGuard no_grad;
      ours.parameters().temporal_emb().mul_(1 + 1e-6);
    }
    const auto plan = plan_of(ranks, 2 * kGroupBatch * ranks.data().size());
    const auto report = train_step(ours, optimizer, plan, star.source(plan), star.config.loss,
                                   star.noise(), kGroupLr, ranks, star.preemption);
    CHECK(report.has_bits_of_group != is_other);
    auto mine = ours.parameters().gradient().clone(), first = mine.clone();
    ranks.tensor()->broadcast(first, 0);
    CHECK(torch::equal(mine, first));
  }
}

TEST_CASE("a rank whose model is another says so, and the others are not kept waiting") {
  const StarParts star;
  Grid grid;
  const auto ranks = grid.ranks();
  if (ranks.tensor() == nullptr) return;
  Bovila ours = model_of(star, ranks);
  const bool other = ranks.tensor()->rank() == 1;
  if (other) {
    const torch::NoGradGuard no_grad;
    ours.parameters().scale_weight().mul_(1.5);
  }
  auto optimizer = make_optimizer(ours.parameters());
  const auto plan = plan_of(ranks, 2 * kGroupBatch * ranks.data().size());
  std::string message;
  ranks.set_stage("step 1");
  try {
    train_step(ours, optimizer, plan, star.source(plan), star.config.loss, star.noise(), kGroupLr,
               ranks, star.preemption);
  } catch (const ProgramError& error) {
    message = error.what();
  }
  CHECK(message.empty() != other);
  if (other) {
    CHECK(message.starts_with(ranks.tensor()->who() +
                              ": the ranks of a group compute different losses, here "));
  }
  grid.all.barrier();
}

TEST_CASE("groups score and ask each question once, as one rank does") {
  const StarParts star;
  Grid grid;
  const auto ranks = grid.ranks();
  auto alone = MpiCommunicator::self();
  const Bovila ours = model_of(star, ranks), theirs = star.model();
  Config config = star.config;
  config.eval.batch_size = 5;
  int64_t done = 0;
  const auto count = [&](int64_t now, int64_t) { done = now; };
  const auto scores =
      evaluate(ours, *star.parts.val, config, ranks, star.preemption, {}, count).scores;
  const auto expected =
      evaluate(theirs, *star.parts.val, config, alone, star.preemption, {}, [](auto, auto) {
      }).scores;
  REQUIRE(scores.size() == expected.size());
  for (size_t i = 0; i < scores.size(); ++i) {
    CHECK(scores[i].row == expected[i].row);
    CHECK(scores[i].prediction() == expected[i].prediction());
    for (size_t k = 0; k < scores[i].loss.size(); ++k) {
      CHECK(scores[i].loss[k] == doctest::Approx(expected[i].loss[k]).epsilon(1e-5));
    }
  }
  auto total = torch::tensor({done});
  ranks.data().all_reduce(total, ReduceOp::kSum);
  CHECK(total.item<int64_t>() == std::ssize(scores));
  const auto ask = [&](const Bovila& model, const RankGrid& by) {
    return ask_split(model, *star.parts.val, *star.parts.tokenizer, config, by, star.preemption,
                     [](auto, auto) {})
        .text;
  };
  CHECK(ask(ours, ranks) == ask(theirs, alone));
}

TEST_CASE("all groups stop scoring when one rank was told to") {
  const StarParts star;
  Grid grid;
  const auto ranks = grid.ranks();
  Config config = star.config;
  config.eval.batch_size = 1;
  const auto part = evaluate(model_of(star, ranks), *star.parts.val, config, ranks, star.preemption,
                             {}, [&](int64_t done, int64_t) {
                               if (done == 2 && grid.all.rank() == 0) std::raise(SIGTERM);
                             });
  CHECK(part.stopped.code == SIGTERM);
  CHECK(std::ssize(part.scores) == 2 * ranks.data().size());
}

TEST_CASE(
    "an error in what ranks compute together ends the job, one in a rank of its own does not") {
  Grid grid;
  const auto ranks = grid.ranks();
  GroupRounds rounds(ranks);
  int worked = 0;
  rounds.run([] {}, [&] { ++worked; });
  CHECK(worked == 1);
  const auto work = [] { throw ProgramError("no memory"); };
  if (ranks.tensor() != nullptr) {
    CHECK_THROWS_AS(rounds.run([] {}, work), ProgramError);
    return;
  }
  rounds.run([] {}, work);
  rounds.run([] {}, [&] { ++worked; });
  CHECK(worked == 1);
  CHECK(agreed_error_of([&] { rounds.agree(); }));
}
