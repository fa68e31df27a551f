// One NCCL communicator's life against the double: in order, with a failing call, with a peer that
// does not come, while an exception climbs.
#include "bovila/dist/nccl_handle.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "bovila/dist/agreement.h"
#include "tests/mpi/session.h"
#include "tests/nccl/double.h"

using namespace bovila;

namespace {

using Clock = std::chrono::steady_clock;

constexpr double kSoon_s = 20;  // on a machine that is busy with other things too

MpiCommunicator ranks_with_limit(double timeout_s) {
  return MpiCommunicator(MPI_COMM_WORLD, timeout_s);
}

bool was_called(const std::string& name) {
  return std::ranges::count(nccl_double().calls, name) > 0;
}

std::optional<AgreedError> error_of_start(MpiCommunicator& ranks) {
  try {
    const NcclHandle handle(ranks);
  } catch (const AgreedError& error) {
    return error;
  }
  return std::nullopt;
}

std::string nccl_handle_error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const ProgramError& error) {
    return error.what();
  }
  return "";
}

bool nccl_handle_contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

bool is_last(const Communicator& ranks) {
  return ranks.rank() == ranks.size() - 1;
}

}  // namespace

TEST_CASE("a communicator starts from rank 0's id and ends by finalize and destroy") {
  auto ranks = all_ranks();
  reset_nccl_double();
  { const NcclHandle handle(ranks); }
  const std::vector<std::string> others{"ncclCommInitRankConfig", "ncclCommFinalize",
                                        "ncclCommDestroy"};
  auto expected = others;
  if (ranks.rank() == 0) expected.insert(expected.begin(), "ncclGetUniqueId");
  CHECK(nccl_double().calls == expected);
  CHECK(nccl_double().violations.empty());
}

TEST_CASE("two communicators live side by side") {
  auto ranks = all_ranks();
  reset_nccl_double();
  {
    const NcclHandle first(ranks);
    const NcclHandle second(ranks);
  }
  CHECK(std::ranges::count(nccl_double().calls, "ncclCommDestroy") == 2);
  CHECK(nccl_double().violations.empty());
}

TEST_CASE("when rank 0 cannot make an id, no rank starts and all say why") {
  auto ranks = all_ranks();
  reset_nccl_double();
  nccl_double().failing_call = "ncclGetUniqueId";
  const auto error = error_of_start(ranks);
  REQUIRE(error);
  CHECK(error->code == ExitCode::kFailure);
  CHECK(std::string(error->what()) ==
        "ncclGetUniqueId(&id) failed: unhandled system error: said by the double");
  CHECK_FALSE(was_called("ncclCommInitRankConfig"));
  ranks.barrier();
}

TEST_CASE("when one rank fails to start, all ranks give its reason and the others abort") {
  auto ranks = ranks_with_limit(10);
  reset_nccl_double();
  if (is_last(ranks)) nccl_double().failing_call = "ncclCommInitRankConfig";
  const auto start = Clock::now();
  const auto error = error_of_start(ranks);
  const std::chrono::duration<double> taken = Clock::now() - start;
  REQUIRE(error);
  CHECK(error->code == ExitCode::kFailure);
  const std::string message = error->what();
  CHECK(nccl_handle_contains(message,
                             fmt::format("rank {} of {}: NCCL ", ranks.size() - 1, ranks.size())));
  CHECK(nccl_handle_contains(message,
                             "failed in starting NCCL (ncclCommInitRankConfig): unhandled system "
                             "error: said by the double"));
  CHECK(taken.count() < kSoon_s);
  CHECK(was_called("ncclCommAbort") == !is_last(ranks));
  CHECK(nccl_double().violations.empty());
  ranks.barrier();
}

TEST_CASE("a bootstrap that a rank never joins ends on all ranks within the time limit") {
  auto ranks = ranks_with_limit(10);
  reset_nccl_double();
  nccl_double().skips_start = is_last(ranks);
  ranks.set_stage("starting");
  const auto start = Clock::now();
  const auto error = error_of_start(ranks);
  const std::chrono::duration<double> taken = Clock::now() - start;
  REQUIRE(error);
  CHECK(error->code == ExitCode::kFailure);
  CHECK(nccl_handle_contains(
      error->what(),
      fmt::format("rank 0 of {} (starting) waited 5 s for the others in starting NCCL",
                  ranks.size())));
  CHECK(taken.count() > 4.5);
  CHECK(taken.count() < kSoon_s);
  CHECK(was_called("ncclCommAbort"));
  ranks.barrier();
}

TEST_CASE("a wait ends when what it waits for is there") {
  auto ranks = all_ranks();
  reset_nccl_double();
  NcclHandle handle(ranks);
  int asked = 0;
  handle.wait("a test", [&] { return ++asked == 5; });
  CHECK(asked == 5);
}

TEST_CASE("past the time limit the communicator is aborted and the rank says what it waited for") {
  auto ranks = all_ranks();
  reset_nccl_double();
  auto impatient = ranks_with_limit(10);
  NcclHandle handle(impatient);
  impatient.set_timeout(0.3);
  impatient.set_stage("step 12");
  const auto start = Clock::now();
  const std::string message =
      nccl_handle_error_of([&] { handle.wait("an all-reduce", [] { return false; }); });
  const std::chrono::duration<double> taken = Clock::now() - start;
  CHECK(message == fmt::format("rank {} of {} (step 12) waited 0.3 s for the others in an "
                               "all-reduce; one of them has died or hangs",
                               ranks.rank(), ranks.size()));
  CHECK(taken.count() < kSoon_s);
  CHECK(was_called("ncclCommAbort"));
  CHECK(nccl_handle_contains(
      nccl_handle_error_of([&] { handle.wait("a test", [] { return true; }); }),
      "a test will not end, NCCL was aborted after an earlier error"));
  CHECK(nccl_handle_contains(
      nccl_handle_error_of([&] { handle.launch("a test", [](auto) { return ncclSuccess; }); }),
      "a test is not possible, NCCL was aborted after an earlier error"));
  CHECK(nccl_double().violations.empty());
  ranks.barrier();
}

TEST_CASE("an asynchronous error is found while waiting, with NCCL's reason") {
  auto ranks = all_ranks();
  reset_nccl_double();
  NcclHandle handle(ranks);
  nccl_double().async_failure = ncclRemoteError;
  const std::string message =
      nccl_handle_error_of([&] { handle.wait("a broadcast", [] { return false; }); });
  CHECK(message == fmt::format("rank {} of {}: NCCL failed in a broadcast: remote process exited "
                               "or there was a network error: said by the double",
                               ranks.rank(), ranks.size()));
  CHECK(was_called("ncclCommAbort"));
  ranks.barrier();
}

TEST_CASE("a communicator is aborted, not finalized, while an exception climbs") {
  auto ranks = all_ranks();
  reset_nccl_double();
  const std::string message = nccl_handle_error_of([&] {
    const NcclHandle handle(ranks);
    throw ProgramError("something else");
  });
  CHECK(message == "something else");
  CHECK(was_called("ncclCommAbort"));
  CHECK_FALSE(was_called("ncclCommFinalize"));
}

TEST_CASE("a finalize that does not end is aborted within the time limit") {
  auto ranks = all_ranks();
  reset_nccl_double();
  auto impatient = ranks_with_limit(10);
  const auto start = Clock::now();
  {
    const NcclHandle handle(impatient);
    nccl_double().never_finalizes = true;
    impatient.set_timeout(0.3);
  }
  const std::chrono::duration<double> taken = Clock::now() - start;
  CHECK(taken.count() < kSoon_s);
  CHECK(was_called("ncclCommAbort"));
  CHECK_FALSE(was_called("ncclCommDestroy"));
  ranks.barrier();
}

TEST_CASE("an abort that does not return is left behind after ten seconds") {
  auto ranks = all_ranks();
  if (ranks.size() != 2) return;
  reset_nccl_double();
  const auto start = Clock::now();
  const std::string message = nccl_handle_error_of([&] {
    const NcclHandle handle(ranks);
    nccl_double().never_aborts = true;
    throw ProgramError("something else");
  });
  const std::chrono::duration<double> taken = Clock::now() - start;
  CHECK(message == "something else");
  CHECK(taken.count() > 9);
  CHECK(taken.count() < 10 + kSoon_s);
  reset_nccl_double();
}
