// An error on some ranks is the same error on all.
#include "bovila/dist/agreement.h"

#include <doctest/doctest.h>

#include <optional>

#include "bovila/dist/preemption.h"

#include "tests/mpi/session.h"

using namespace bovila;

namespace {

/// Runs `work` together and returns what this rank threw.
std::optional<AgreedError> agreed_error(Communicator& ranks, const std::function<void()>& work) {
  try {
    run_together(ranks, work);
  } catch (const AgreedError& error) {
    return error;
  }
  return std::nullopt;
}

/// Ranks of which all others have died.
class LostRanks final : public Communicator {
 public:
  int rank() const override { return 1; }
  int size() const override { return 2; }
  void all_reduce(torch::Tensor&, ReduceOp) override { barrier(); }
  void broadcast(torch::Tensor&, int) override { barrier(); }
  void barrier() override { throw ProgramError("waited in vain"); }
  std::vector<std::string> all_gather(const std::string&) override { throw ProgramError("vain"); }
  std::string broadcast(const std::string&, int) override { throw ProgramError("vain"); }
};

}  // namespace

TEST_CASE("a rank that failed tells its own error when the others do not come to hear it") {
  LostRanks ranks;
  CHECK_THROWS_WITH_AS(run_together(ranks, [] { throw UserError("no such file"); }),
                       "no such file (waited in vain)", ProgramError);
  CHECK_THROWS_WITH_AS(run_together(ranks, [] {}), "waited in vain", ProgramError);
}

TEST_CASE("nothing is thrown when no rank failed") {
  auto ranks = all_ranks();
  bool ran = false;
  CHECK_FALSE(agreed_error(ranks, [&] { ran = true; }));
  CHECK(ran);
}

TEST_CASE("an error on one rank is thrown by every rank with its code, its message and its rank") {
  auto ranks = all_ranks();
  for (int culprit = 0; culprit < ranks.size(); ++culprit) {
    const auto error = agreed_error(ranks, [&] {
      if (ranks.rank() == culprit) throw UserError("file {} is bad", culprit);
    });
    REQUIRE(error);
    CHECK(error->code == ExitCode::kUserError);
    const std::string expected =
        culprit == 0 ? "file 0 is bad"
                     : fmt::format("file {0} is bad (on 1 of {1} ranks, rank {0} the first)",
                                   culprit, ranks.size());
    CHECK(error->what() == expected);
  }
}

TEST_CASE("of several ranks' errors the first rank's is thrown, and counted") {
  auto ranks = all_ranks();
  if (ranks.size() < 3) return;
  const auto error = agreed_error(ranks, [&] {
    if (ranks.rank() == 1) throw ProgramError("disk");
    if (ranks.rank() == 2) throw UserError("deck");
  });
  REQUIRE(error);
  CHECK(error->code == ExitCode::kFailure);
  CHECK(error->what() == fmt::format("disk (on 2 of {} ranks, rank 1 the first)", ranks.size()));
}

TEST_CASE("a request to stop on one rank is every rank's, and a failure comes before it") {
  auto ranks = all_ranks();
  const StopRequested stop({SIGTERM});
  const auto stopped = agreed_error(ranks, [&] {
    if (ranks.rank() == ranks.size() - 1) throw stop;
  });
  REQUIRE(stopped);
  CHECK(stopped->code == ExitCode::kPreempted);
  CHECK(stopped->what() == std::string("stopped by SIGTERM"));
  if (ranks.size() < 2) return;
  const auto failed = agreed_error(ranks, [&] {
    if (ranks.rank() == 0) throw stop;
    if (ranks.rank() == 1) throw UserError("deck");
  });
  REQUIRE(failed);
  CHECK(failed->code == ExitCode::kUserError);
  CHECK(failed->what() == fmt::format("deck (on 1 of {} ranks, rank 1 the first)", ranks.size()));
}

TEST_CASE("what a smaller group agreed on keeps its code") {
  const LocalError error = run_local([] { throw AgreedError(ExitCode::kUserError, "weights"); });
  CHECK(error.code == ExitCode::kUserError);
  CHECK(error.message == "weights");
}

TEST_CASE("the same error on all ranks is told once, as it is") {
  auto ranks = all_ranks();
  const auto error = agreed_error(ranks, [] { throw UserError("no such file"); });
  REQUIRE(error);
  CHECK(std::string(error->what()) == "no such file");
}

TEST_CASE("errors of the standard library and of LibTorch are the program's") {
  CHECK(run_local([] { throw std::out_of_range("vector"); }).code == ExitCode::kFailure);
  const LocalError torch_error = run_local([] { torch::ones({2}).view({3}); });
  CHECK(torch_error.code == ExitCode::kFailure);
  CHECK_FALSE(torch_error.message.empty());
  CHECK(run_local([] {}).code == ExitCode::kSuccess);
}

TEST_CASE("after an agreed error the ranks are still in step") {
  auto ranks = all_ranks();
  agreed_error(ranks, [&] {
    if (ranks.rank() == ranks.size() - 1) throw UserError("x");
  });
  CHECK(ranks.max(ranks.rank()) == ranks.size() - 1);
}
