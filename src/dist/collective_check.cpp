// Each collective runs once to be checked, once for a first look at the clock, then as often as a
// fraction of a second allows.
#include "bovila/dist/collective_check.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>

#include "bovila/core/error.h"
#include "bovila/core/text_table.h"
#include "bovila/dist/agreement.h"

namespace bovila {
namespace {

using torch::Tensor;

struct Size {
  int64_t bytes;
  const char* text;
};
constexpr std::array kSizes = {Size{1 << 10, "1 KiB"}, Size{1 << 14, "16 KiB"},
                               Size{1 << 18, "256 KiB"}, Size{1 << 22, "4 MiB"},
                               Size{1 << 26, "64 MiB"}};
constexpr int64_t kGrowth = 16;    // from one size to the next
constexpr double kTiming_s = 0.1;  // for the repetitions of one collective at one size
constexpr int64_t kMaxRepeats = 50;
constexpr double kLongest_s = 1.5;  // for a single call
constexpr int64_t kPeriod = 97;     // of the values along a tensor

/// One collective at one size.
struct Probe {
  std::string name;  // "an all-reduce (sum) of 1 KiB"
  Tensor mine;       // what this rank brings
  Tensor expected;   // what all ranks get, on the CPU
  std::function<void(Tensor&)> call;
};

/// 0, 1, ... kPeriod - 1, 0, 1, ... in fp32 on the CPU.
Tensor known_values(int64_t bytes) {
  const auto numel = bytes / static_cast<int64_t>(sizeof(float));
  return torch::arange(numel, torch::kInt64).remainder_(kPeriod).to(torch::kFloat32);
}

/// Rank r brings values + r. Sums stay below 2^24 for some 4000 ranks: fp32 adds them exactly.
Probe all_reduce_probe(Communicator& ranks, torch::Device device, const Size& size) {
  const auto values = known_values(size.bytes);
  const auto n = static_cast<double>(ranks.size());
  return {fmt::format("an all-reduce (sum) of {}", size.text), (values + ranks.rank()).to(device),
          values * n + n * (n - 1) / 2,
          [&ranks](Tensor& tensor) { ranks.all_reduce(tensor, ReduceOp::kSum); }};
}

/// The root brings values + root + 1, the others zeros.
Probe broadcast_probe(Communicator& ranks, torch::Device device, const Size& size, int root) {
  const auto values = known_values(size.bytes) + (root + 1);
  const auto mine = ranks.rank() == root ? values : torch::zeros_like(values);
  return {fmt::format("a broadcast of {} from rank {}", size.text, root),
          mine.to(device, /*non_blocking=*/false, /*copy=*/true), values,
          [&ranks, root](Tensor& tensor) { ranks.broadcast(tensor, root); }};
}

/// @throws ProgramError
void require_equal(const Tensor& got, const Probe& probe, torch::Device device) {
  const auto differs = (got != probe.expected).nonzero();
  if (differs.numel() == 0) return;
  const auto first = differs[0].item<int64_t>();
  throw ProgramError(
      "{} on {} gave wrong numbers: element {} is {}, expected {} ({} of {} elements differ). {}",
      probe.name, device.str(), first, got[first].item<float>(),
      probe.expected[first].item<float>(), differs.numel(), got.numel(),
      device.is_cuda()
          ? "Look at what NCCL says with NCCL_DEBUG=INFO, and try NCCL_P2P_DISABLE=1"
          : "Try another transport of MPI (Open MPI: --mca pml ob1 --mca btl tcp,self; MPICH: "
            "UCX_TLS=tcp,self or FI_PROVIDER=tcp)");
}

/// Seconds of the slowest rank.
double seconds_of(Communicator& ranks, const std::function<void()>& work) {
  using Clock = std::chrono::steady_clock;
  ranks.barrier();
  const auto start = Clock::now();
  work();
  ranks.synchronize();
  const std::chrono::nanoseconds taken = Clock::now() - start;
  return static_cast<double>(std::max<int64_t>(1, ranks.max(taken.count()))) * 1e-9;
}

/// Seconds a call. @throws AgreedError when its result is wrong on a rank.
double check_and_time(Communicator& ranks, torch::Device device, const Probe& probe) {
  auto tensor = probe.mine;
  probe.call(tensor);
  ranks.synchronize();
  run_together(ranks, [&] { require_equal(tensor.cpu(), probe, device); });
  tensor.zero_();
  const double once_s = seconds_of(ranks, [&] { probe.call(tensor); });
  const auto repeats =
      std::clamp(static_cast<int64_t>(kTiming_s / once_s), int64_t{1}, kMaxRepeats);
  return seconds_of(ranks,
                    [&] {
                      for (int64_t i = 0; i < repeats; ++i) probe.call(tensor);
                    }) /
         static_cast<double>(repeats);
}

/// "  0.123 ms", "  4.567 GB/s" with the bus bandwidth of `bytes` times `factor`.
std::string time_text(double seconds) {
  return fmt::format("{:9.3f} ms", seconds * 1e3);
}
std::string bandwidth_text(int64_t bytes, double factor, double seconds) {
  return fmt::format("{:8.3f} GB/s", static_cast<double>(bytes) * factor / seconds * 1e-9);
}

}  // namespace

void check_collectives(Communicator& ranks, torch::Device device, std::ostream& out) {
  ranks.set_stage("self-check");
  const auto n = static_cast<double>(ranks.size());
  const double all_reduce_factor = 2 * (n - 1) / n;
  std::vector<std::vector<std::string>> table = {
      {"size", "all-reduce", "bus bandwidth", "broadcast", "bus bandwidth"}};
  const auto bandwidth = [&](const Size& size, double factor, double seconds) {
    return ranks.size() == 1 ? "-" : bandwidth_text(size.bytes, factor, seconds);
  };
  double slowest_s = 0;
  int root = 0;
  for (const Size& size : kSizes) {
    if (slowest_s * kGrowth > kLongest_s) {
      table.push_back({size.text, "left out: one call would take seconds"});
      break;
    }
    const double reduce_s = check_and_time(ranks, device, all_reduce_probe(ranks, device, size));
    root = (root + 1) % ranks.size();
    const double broadcast_s =
        check_and_time(ranks, device, broadcast_probe(ranks, device, size, root));
    slowest_s = std::max(reduce_s, broadcast_s);
    table.push_back({size.text, time_text(reduce_s), bandwidth(size, all_reduce_factor, reduce_s),
                     time_text(broadcast_s), bandwidth(size, 1, broadcast_s)});
  }
  if (ranks.rank() != 0) return;
  out << fmt::format("collectives of fp32 on {}, {} rank{}, results exact\n",
                     device.is_cuda() ? "the GPUs by NCCL" : "the CPU by MPI", ranks.size(),
                     ranks.size() == 1 ? "" : "s")
      << (ranks.size() == 1
              ? "  one rank has nobody to talk to: for bandwidths start more (mpirun -np 2 bovila "
                "--self-check)\n"
              : "  bus bandwidth: all-reduce of n ranks 2 (n - 1) / n * bytes / time, broadcast "
                "bytes / time\n")
      << text_table(table) << std::flush;
}

}  // namespace bovila
