// `bovila --self-check` on the ranks of the test, and what it says when their communication or
// their device is broken.
#include "bovila/train/self_check.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <sstream>
#include <thread>

#include "bovila/core/build_info.h"
#include "bovila/dist/agreement.h"
#include "bovila/dist/collective_check.h"
#include "tests/mpi/session.h"

using namespace bovila;
using torch::Tensor;

namespace {

/// MPI's collectives, after which something happens to sums and broadcast tensors. Maxima, by which
/// the ranks agree, stay right.
class BrokenCommunicator final : public Communicator {
 public:
  using After = std::function<void(Tensor&)>;
  explicit BrokenCommunicator(
      After after_sum, After after_broadcast = [](Tensor&) {})
      : mpi_(all_ranks()),
        after_sum_(std::move(after_sum)),
        after_broadcast_(std::move(after_broadcast)) {}

  int rank() const override { return mpi_.rank(); }
  int size() const override { return mpi_.size(); }
  void all_reduce(Tensor& tensor, ReduceOp op) override {
    mpi_.all_reduce(tensor, op);
    if (op == ReduceOp::kSum) after_sum_(tensor);
  }
  void broadcast(Tensor& tensor, int root) override {
    mpi_.broadcast(tensor, root);
    after_broadcast_(tensor);
  }
  void barrier() override { mpi_.barrier(); }
  std::vector<std::string> all_gather(const std::string& bytes) override {
    return mpi_.all_gather(bytes);
  }
  std::string broadcast(const std::string& bytes, int root) override {
    return mpi_.broadcast(bytes, root);
  }

 private:
  MpiCommunicator mpi_;
  After after_sum_, after_broadcast_;
};

void nothing(Tensor&) {}

struct Failure {
  std::string message;
  ExitCode code = ExitCode::kSuccess;
  std::string report;  // what rank 0 had written by then
};

Failure failure_of(Communicator& ranks, torch::Device device = torch::kCPU) {
  std::ostringstream out;
  try {
    self_check(ranks, device, out);
  } catch (const AgreedError& error) {
    return {error.what(), error.code, out.str()};
  }
  return {};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// The words of each line of a text.
std::vector<std::vector<std::string>> words_of(const std::string& text) {
  std::vector<std::vector<std::string>> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    lines.emplace_back(std::istream_iterator<std::string>(words),
                       std::istream_iterator<std::string>());
  }
  return lines;
}

}  // namespace

TEST_CASE("the self-check passes, and every rank stands in its table once") {
  auto ranks = all_ranks();
  std::ostringstream out;
  self_check(ranks, torch::kCPU, out);
  const auto pids = ranks.all_gather(std::to_string(getpid()));
  if (ranks.rank() != 0) {
    CHECK(out.str().empty());
    return;
  }
  const auto lines = words_of(out.str());
  for (int r = 0; r < ranks.size(); ++r) {
    const auto is_row = [&](const std::vector<std::string>& words) {
      return words.size() == 7 && words[0] == std::to_string(r) && words[6] == "CPU" &&
             words[2] == pids[static_cast<size_t>(r)];
    };
    CHECK(std::ranges::count_if(lines, is_row) == 1);
  }
  CHECK(out.str().starts_with(program_text() + "\n"));
#ifdef MPICH_VERSION
  const char* const mpi = "MPICH Version: " MPICH_VERSION " (MPI ";
#else
  const char* const mpi = "Open MPI v";
#endif
  for (const char* part : {"LibTorch", "NCCL", mpi, "HDF5", "1 KiB", "bf16 on the CPU"}) {
    CHECK(contains(out.str(), part));
  }
  CHECK(contains(out.str(), "GB/s") == (ranks.size() > 1));
  CHECK(contains(out.str(), "one rank has nobody to talk to") == (ranks.size() == 1));
  // A busy machine may be too slow for the largest size.
  CHECK((contains(out.str(), "64 MiB") || contains(out.str(), "left out: one call would take")));
  CHECK(out.str().ends_with("\nself-check passed\n"));
}

TEST_CASE("wrong sums fail on every rank with the collective's name") {
  BrokenCommunicator ranks([](Tensor& tensor) { tensor += 1; });
  const auto failure = failure_of(ranks);
  const int sum_of_first = ranks.size() * (ranks.size() - 1) / 2;
  CHECK(failure.code == ExitCode::kFailure);
  CHECK(failure.message ==
        fmt::format("an all-reduce (sum) of 1 KiB on cpu gave wrong numbers: element 0 is {}, "
                    "expected {} (256 of 256 elements differ). Try another transport of MPI (Open "
                    "MPI: --mca pml ob1 --mca btl tcp,self; MPICH: UCX_TLS=tcp,self or "
                    "FI_PROVIDER=tcp)",
                    sum_of_first + 1, sum_of_first));
  CHECK(contains(failure.report, "LibTorch") == (ranks.rank() == 0));
  CHECK_FALSE(contains(failure.report, "passed"));
}

TEST_CASE("one wrong element of a large sum on the last rank fails on all") {
  const int last = all_ranks().size() - 1;
  BrokenCommunicator ranks([last](Tensor& tensor) {
    if (all_ranks().rank() == last && tensor.numel() == 1 << 20) tensor[-1] += 0.5;
  });
  const auto failure = failure_of(ranks);
  CHECK(contains(failure.message,
                 "an all-reduce (sum) of 4 MiB on cpu gave wrong numbers: element "
                 "1048575 is "));
  CHECK(contains(failure.message, "(1 of 1048576 elements differ)"));
  CHECK(contains(failure.message, fmt::format("rank {} the first", last)) == (last > 0));
}

TEST_CASE("a wrong broadcast fails on every rank with its root") {
  BrokenCommunicator ranks(nothing, [](Tensor& tensor) { tensor[7] = NAN; });
  const auto failure = failure_of(ranks);
  CHECK(contains(failure.message,
                 fmt::format("a broadcast of 1 KiB from rank {} on cpu gave wrong numbers: element "
                             "7 is nan, expected {}",
                             1 % ranks.size(), 8 + 1 % ranks.size())));
}

TEST_CASE("sizes that would take too long are left out, and the report says so") {
  BrokenCommunicator ranks(
      [](Tensor&) { std::this_thread::sleep_for(std::chrono::milliseconds(110)); });
  std::ostringstream out;
  check_collectives(ranks, torch::kCPU, out);
  if (ranks.rank() != 0) return;
  CHECK(contains(out.str(), "  16 KiB  left out: one call would take seconds\n"));
  CHECK_FALSE(contains(out.str(), "64 MiB"));
}

TEST_CASE("a device that is not there fails on every rank with CUDA's words") {
  auto ranks = all_ranks();
  const auto failure = failure_of(ranks, torch::Device(torch::kCUDA, 0));
  CHECK(failure.code == ExitCode::kFailure);
  CHECK(contains(failure.message, "cudaGetDeviceProperties(&properties, device.index()) failed: "));
}
