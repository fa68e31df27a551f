// Reductions, gathers and time limits between real ranks.
#include "bovila/dist/communicator.h"

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <thread>

#include "bovila/core/error.h"
#include "tests/mpi/session.h"

using namespace bovila;

namespace {

/// 1 + 2 + ... + n.
int64_t sum_to(int64_t n) {
  return n * (n + 1) / 2;
}

std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const ProgramError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a sum and a maximum over the ranks are exact in fp32, fp64 and int64") {
  auto ranks = all_ranks();
  for (const auto type : {torch::kFloat32, torch::kFloat64, torch::kInt64}) {
    CAPTURE(torch::toString(type));
    auto sum = torch::full({2, 3}, ranks.rank() + 1, type);
    ranks.all_reduce(sum, ReduceOp::kSum);
    CHECK(torch::equal(sum, torch::full({2, 3}, sum_to(ranks.size()), type)));
    auto max = torch::full({5}, -ranks.rank(), type);
    ranks.all_reduce(max, ReduceOp::kMax);
    CHECK(torch::equal(max, torch::zeros({5}, type)));
  }
}

TEST_CASE("a mean over the ranks is their sum divided by their number") {
  auto ranks = all_ranks();
  for (const auto type : {torch::kFloat32, torch::kFloat64}) {
    auto mean = torch::full({2, 3}, ranks.rank() + 1, type);
    ranks.all_reduce(mean, ReduceOp::kMean);
    const auto expected = static_cast<double>(sum_to(ranks.size())) / ranks.size();
    CHECK(torch::equal(mean, torch::full({2, 3}, expected, type)));
  }
}

TEST_CASE("a sum of numbers that do not add up exactly has the same bits on all ranks") {
  auto ranks = all_ranks();
  torch::manual_seed(ranks.rank());
  auto sum = torch::randn({100000});
  ranks.all_reduce(sum, ReduceOp::kSum);
  CHECK(same_on_all(ranks, sum));
}

TEST_CASE("max gives the largest of the ranks' numbers") {
  auto ranks = all_ranks();
  CHECK(ranks.max(ranks.rank() * 10) == (ranks.size() - 1) * 10);
  CHECK(ranks.max(-5 - ranks.rank()) == -5);
}

TEST_CASE("every rank's tensor and text can be the one that all get") {
  auto ranks = all_ranks();
  for (int root = 0; root < ranks.size(); ++root) {
    auto tensor = torch::full({4}, static_cast<double>(ranks.rank()), torch::kFloat64);
    ranks.broadcast(tensor, root);
    CHECK(torch::equal(tensor, torch::full({4}, static_cast<double>(root), torch::kFloat64)));
    const std::string mine(static_cast<size_t>(ranks.rank()) * 1000, 'x');
    CHECK(ranks.broadcast(mine, root).size() == static_cast<size_t>(root) * 1000);
  }
  CHECK(ranks.broadcast(ranks.rank() == 0 ? std::string() : "mine", 0).empty());
}

TEST_CASE("texts of any size, none among them, are gathered in the order of the ranks") {
  auto ranks = all_ranks();
  const auto text_of = [](int rank) {
    return std::string(static_cast<size_t>(rank) * 100000, static_cast<char>('a' + rank));
  };
  const auto texts = ranks.all_gather(text_of(ranks.rank()));
  REQUIRE(static_cast<int>(texts.size()) == ranks.size());
  for (int r = 0; r < ranks.size(); ++r) CHECK(texts[static_cast<size_t>(r)] == text_of(r));
  for (const std::string& text : ranks.all_gather("")) CHECK(text.empty());
  const std::string with_zero("a\0b", 3);
  for (const std::string& text : ranks.all_gather(with_zero)) CHECK(text == with_zero);
}

TEST_CASE("no rank leaves a barrier before the last one has come") {
  using Clock = std::chrono::steady_clock;  // one for all processes of a host
  const auto now = [] { return Clock::now().time_since_epoch().count(); };
  auto ranks = all_ranks();
  if (ranks.rank() == ranks.size() - 1) std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const int64_t came = now();
  ranks.barrier();
  const int64_t left = now();
  CHECK(left >= ranks.max(came));
}

TEST_CASE("a rank that does not come is an error within the time limit") {
  using Clock = std::chrono::steady_clock;
  auto ranks = all_ranks();
  if (ranks.size() == 1) return;
  MPI_Comm copy = MPI_COMM_NULL;
  MPI_CHECK(MPI_Comm_dup(MPI_COMM_WORLD, &copy));
  const MpiComm owner(copy);
  MpiCommunicator impatient(copy, /*timeout_s=*/0.3);
  impatient.set_stage("step 12");
  ranks.barrier();
  const auto start = Clock::now();
  if (ranks.rank() == 0) {
    const std::string message = error_of([&] { impatient.barrier(); });
    const std::chrono::duration<double> waited = Clock::now() - start;
    CHECK(message == fmt::format("rank 0 of {} (step 12) waited 0.3 s for the others in a barrier; "
                                 "one of them has died or hangs",
                                 ranks.size()));
    CHECK(waited.count() > 0.25);
    CHECK(waited.count() < 20);  // on a busy machine
  }
  ranks.barrier();
  impatient.set_timeout(60);
  if (ranks.rank() != 0) impatient.barrier();  // so that no request of rank 0 stays open
  ranks.barrier();
}

TEST_CASE("tensors that MPI cannot take are refused before anything is sent") {
  auto ranks = all_ranks();
  auto strided = torch::zeros({4, 4}).t().narrow(0, 0, 2);
  CHECK(error_of([&] { ranks.all_reduce(strided, ReduceOp::kSum); }).find("contiguous") !=
        std::string::npos);
  CHECK(error_of([&] { ranks.broadcast(strided, 0); }).find("contiguous") != std::string::npos);
  auto elsewhere = torch::zeros({4}, torch::kMeta);
  for (const auto& send :
       {std::function<void()>([&] { ranks.broadcast(elsewhere, 0); }),
        std::function<void()>([&] { ranks.all_reduce(elsewhere, ReduceOp::kSum); })}) {
    CHECK(error_of(send).find("MPI takes tensors in host memory only, got one on meta; a GPU's "
                              "tensors go through the NcclCommunicator") != std::string::npos);
  }
  auto integers = torch::zeros({4}, torch::kInt64);
  CHECK(error_of([&] {
          ranks.all_reduce(integers, ReduceOp::kMean);
        }).find("the mean of a tensor of type Long is not defined") != std::string::npos);
  if (ranks.size() == 1) return;
  auto half = torch::zeros({4}, torch::kFloat16);
  CHECK(error_of([&] {
          ranks.all_reduce(half, ReduceOp::kSum);
        }).find("of type Half cannot be reduced") != std::string::npos);
}

TEST_CASE("a rank's name for messages says what the ranks are doing once that is known") {
  auto ranks = all_ranks();
  const std::string name = fmt::format("rank {} of {}", ranks.rank(), ranks.size());
  CHECK(ranks.who() == name);
  ranks.set_stage("evaluation");
  CHECK(ranks.who() == name + " (evaluation)");
}

TEST_CASE("a process alone needs no other: what it sends is what it gets") {
  MpiCommunicator alone = MpiCommunicator::self();
  CHECK(alone.size() == 1);
  CHECK(alone.rank() == 0);
  auto tensor = torch::ones({3});
  alone.all_reduce(tensor, ReduceOp::kSum);
  alone.broadcast(tensor, 0);
  alone.barrier();
  CHECK(torch::equal(tensor, torch::ones({3})));
  CHECK(alone.all_gather("x") == std::vector<std::string>{"x"});
  CHECK(alone.broadcast("y", 0) == "y");
}
