// Training through the double is training over MPI, bit for bit.
#include "bovila/train/train_step.h"

#include <doctest/doctest.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "bovila/dist/nccl_communicator.h"
#include "tests/mpi/golden_parts.h"
#include "tests/nccl/double.h"

using namespace bovila;

namespace {

constexpr int64_t kBatch = 2;

std::string train_step_error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const ProgramError& error) {
    return error.what();
  }
  return "";
}

/// The parameters after three steps.
torch::Tensor train(const StarParts& star, const RankGrid& ranks) {
  Bovila model = golden::make_model(star.run, *star.parts.tokenizer, torch::kFloat32, torch::kCPU,
                                    ranks.tensor());
  auto optimizer = make_optimizer(model.parameters());
  const auto order = order_of(star.parts.train->size());
  int64_t position = 0;
  for (int step = 0; step < 3; ++step) {
    const auto plan =
        plan_step(order, position, kBatch, 1, ranks.data().rank(), ranks.data().size());
    position += plan.num_questions;
    train_step(model, optimizer, plan, star.source(plan), star.config.loss, star.noise(),
               /*lr=*/0.01, ranks, star.preemption);
  }
  return model.parameters().flat().clone();
}

}  // namespace

TEST_CASE("three optimizer steps give the bits that they give over MPI, and break no rule") {
  const StarParts star;
  auto host = all_ranks();
  const auto by_mpi = train(star, host);
  reset_nccl_double();
  NcclCommunicator nccl(host, torch::kCPU, make_host_stream());
  const auto by_nccl = train(star, nccl);
  CHECK(torch::equal(by_nccl, by_mpi));
  CHECK(same_on_all(nccl, by_nccl));
  CHECK(nccl_double().violations.empty());
}

TEST_CASE(
    "a step reduces the flat gradient once and the losses once, in the same order on all ranks") {
  const StarParts star;
  auto host = all_ranks();
  reset_nccl_double();
  NcclCommunicator nccl(host, torch::kCPU, make_host_stream());
  nccl_double().calls.clear();
  train(star, nccl);
  const auto calls = nccl_double().calls;
  const std::string gradient =
      fmt::format("ncclAllReduce {}", star.model().parameters().gradient().numel());
  const std::string losses = fmt::format("ncclAllReduce {}", kLossNames.size());
  const std::string decision = "ncclAllReduce 1";  // over MPI when the tensors are a GPU's
  std::vector<std::string> of_tensors;
  std::ranges::remove_copy(calls, std::back_inserter(of_tensors), decision);
  CHECK(of_tensors ==
        std::vector<std::string>{gradient, losses, gradient, losses, gradient, losses});
  for (const auto& theirs : host.all_gather(fmt::format("{}", fmt::join(calls, "\n")))) {
    CHECK(theirs == fmt::format("{}", fmt::join(calls, "\n")));
  }
}

TEST_CASE(
    "groups that hold a model together step over NCCL to the bits of MPI, and break no rule") {
  const StarParts star;
  auto host = all_ranks();
  const MpiComm node_handle = test_session->node();
  MpiCommunicator node(node_handle.get(), 60);
  if (host.size() % 2 != 0) return;
  GridCommunicators groups(host, node, 2);
  const auto by_mpi = train(star, {host, groups.data(), groups.tensor()});
  reset_nccl_double({host.get(), groups.data().get(), groups.tensor().get()});
  NcclCommunicator all(host, torch::kCPU, make_host_stream());
  NcclCommunicator data(groups.data(), torch::kCPU, make_host_stream());
  NcclCommunicator tensor(groups.tensor(), torch::kCPU, make_host_stream());
  NcclCommunicator* const each[] = {&all, &data, &tensor};
  for (NcclCommunicator* one : each) {
    for (NcclCommunicator* other : each) {
      if (one != other) one->wait_also_for(*other);
    }
  }
  const auto by_nccl = train(star, {all, data, tensor});
  CHECK(torch::equal(by_nccl, by_mpi));
  CHECK(same_on_all(host, by_nccl));
  CHECK(nccl_double().violations.empty());
}

TEST_CASE("a communicator that is not waited for is in flight while MPI is used") {
  auto host = all_ranks();
  reset_nccl_double();
  NcclCommunicator one(host, torch::kCPU, make_host_stream());
  NcclCommunicator other(host, torch::kCPU, make_host_stream());
  auto numbers = torch::ones({5});
  const auto use_both = [&] {
    other.all_reduce(numbers, ReduceOp::kSum);
    one.barrier();
    other.synchronize();
    return nccl_double().violations.size();
  };
  if (host.size() > 1) CHECK(use_both() == 1);
  nccl_double().violations.clear();
  one.wait_also_for(other);
  CHECK(use_both() == 0);
}

TEST_CASE("a collective that fails in a step ends it with NCCL's reason") {
  const StarParts star;
  auto host = all_ranks();
  reset_nccl_double();
  NcclCommunicator nccl(host, torch::kCPU, make_host_stream());
  nccl_double().failing_call = "ncclAllReduce";
  nccl.set_stage("step 1");
  const std::string message = train_step_error_of([&] { train(star, nccl); });
  CHECK(message.find("(step 1): NCCL failed in an all-reduce of ") != std::string::npos);
  host.barrier();
}

TEST_CASE("a rank that leaves the others alone in a step ends it within the time limit") {
  const StarParts star;
  auto host = all_ranks();
  reset_nccl_double();
  NcclCommunicator nccl(host, torch::kCPU, make_host_stream());
  nccl_double().patience_s = 0.1;
  nccl_double().skips_work = host.rank() == host.size() - 1;
  nccl.set_stage("step 1");
  host.set_timeout(3);  // other collectives of the step have to come in time
  const std::string message = train_step_error_of([&] { train(star, nccl); });
  CHECK(message.find("(step 1) waited 3 s for the others in an all-reduce of ") !=
        std::string::npos);
  host.set_timeout(60);
  host.barrier();
}
