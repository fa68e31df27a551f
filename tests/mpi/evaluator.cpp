// Evaluation on N ranks is evaluation on one, bit for bit.
#include "bovila/evaluation/evaluator.h"

#include <doctest/doctest.h>

#include <csignal>

#include "tests/mpi/golden_parts.h"

using namespace bovila;

namespace {

void no_progress(int64_t, int64_t) {}

}  // namespace

TEST_CASE("any number of ranks gives the same scores, each question once") {
  const StarParts star;
  const Bovila model = star.model();
  auto ranks = all_ranks();
  auto alone = MpiCommunicator::self();
  for (const int64_t batch_size : {1, 5, 100}) {  // 12 questions: more and fewer batches than ranks
    CAPTURE(batch_size);
    Config config = star.config;
    config.eval.batch_size = batch_size;
    const auto together =
        evaluate(model, *star.parts.val, config, ranks, star.preemption, {}, no_progress).scores;
    const auto expected =
        evaluate(model, *star.parts.val, config, alone, star.preemption, {}, no_progress).scores;
    REQUIRE(static_cast<int64_t>(together.size()) == star.parts.val->size());
    for (size_t i = 0; i < together.size(); ++i) {
      CHECK(together[i].row == static_cast<int64_t>(i));
      CHECK(together[i].loss == expected[i].loss);
      CHECK(together[i].uncertainty == expected[i].uncertainty);
    }
  }
}

TEST_CASE("progress counts this rank's questions up to all of them") {
  const StarParts star;
  const Bovila model = star.model();
  auto ranks = all_ranks();
  Config config = star.config;
  config.eval.batch_size = 1;
  int64_t last_done = 0, expected = 0;
  evaluate(model, *star.parts.val, config, ranks, star.preemption, {},
           [&](int64_t done, int64_t total) {
             CHECK(done == last_done + 1);
             last_done = done;
             expected = total;
           });
  CHECK(last_done == expected);
  auto total = torch::full({1}, last_done, torch::kInt64);
  ranks.all_reduce(total, ReduceOp::kSum);
  CHECK(total.item<int64_t>() == star.parts.val->size());
}

TEST_CASE("an evaluation that one rank was asked to stop goes on later to the same scores") {
  StarParts star;
  const Bovila model = star.model();
  auto ranks = all_ranks();
  star.config.eval.batch_size = 2;
  const auto whole =
      evaluate(model, *star.parts.val, star.config, ranks, star.preemption, {}, no_progress);
  REQUIRE_FALSE(whole.stopped);
  const auto part = evaluate(model, *star.parts.val, star.config, ranks, star.preemption, {},
                             [&](int64_t, int64_t) {
                               if (ranks.rank() == ranks.size() - 1) std::raise(SIGTERM);
                             });
  CHECK(part.stopped.code == SIGTERM);
  CHECK(std::ssize(part.scores) == 2 * ranks.size());

  const StarParts later;
  int64_t computed = 0;
  const auto rest = evaluate(model, *later.parts.val, star.config, ranks, later.preemption,
                             part.scores, [&](int64_t done, int64_t) { computed = done; });
  CHECK_FALSE(rest.stopped);
  auto total = torch::full({1}, computed, torch::kInt64);
  ranks.all_reduce(total, ReduceOp::kSum);
  CHECK(total.item<int64_t>() == std::ssize(whole.scores) - std::ssize(part.scores));
  REQUIRE(rest.scores.size() == whole.scores.size());
  for (size_t i = 0; i < whole.scores.size(); ++i) {
    CHECK(rest.scores[i].row == whole.scores[i].row);
    CHECK(rest.scores[i].loss == whole.scores[i].loss);
    CHECK(rest.scores[i].uncertainty == whole.scores[i].uncertainty);
  }
}

TEST_CASE("an error while one rank evaluates is every rank's") {
  const StarParts star;
  const Bovila model = star.model();
  auto ranks = all_ranks();
  Config config = star.config;
  config.eval.batch_size = 1;
  const bool last = ranks.rank() == ranks.size() - 1;
  const auto error = agreed_error_of([&] {
    evaluate(model, *star.parts.val, config, ranks, star.preemption, {}, [&](int64_t, int64_t) {
      if (last) throw UserError("video 'S1' is damaged");
    });
  });
  REQUIRE(error);
  CHECK(error->code == ExitCode::kUserError);
  CHECK(std::string(error->what()).find("video 'S1' is damaged") != std::string::npos);
}

TEST_CASE("scores that are not finite on one rank are an error of all, not an answer") {
  const StarParts star;
  Bovila model = star.model();
  auto ranks = all_ranks();
  Config config = star.config;
  config.eval.batch_size = 1;
  if (ranks.rank() == ranks.size() - 1) {
    const torch::NoGradGuard no_grad;
    model.parameters().temporal_emb().detach().fill_(std::numeric_limits<float>::quiet_NaN());
  }
  const auto error = agreed_error_of(
      [&] { evaluate(model, *star.parts.val, config, ranks, star.preemption, {}, no_progress); });
  REQUIRE(error);
  CHECK(error->code == ExitCode::kFailure);
  CHECK(std::string(error->what()).find("has an option whose score is not finite") !=
        std::string::npos);
}
