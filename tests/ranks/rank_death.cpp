// Ranks that take steps together until one of them dies or stops: mpirun -np N rank_death FOLDER
// TIMEOUT_S cpu|cuda [kill|stop STEP [pass]]. Each rank writes its process id to FOLDER/pid-RANK
// when it begins and to FOLDER/steps-RANK when all take steps; with kill or stop the last rank ends
// or halts itself before that step, -1 being NCCL's start, or with pass in its backward pass.
// Errors end the job as in bovila's main. Used by tests/cli/rank_death.sh.
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "bovila/core/error.h"
#include "bovila/core/log.h"
#include "bovila/dist/device.h"
#include "bovila/dist/mpi_session.h"
#include "bovila/model/group_sum.h"
#include "tests/ranks/nccl.h"

namespace {

using namespace bovila;

constexpr double kStart_s = 120;  // time limit until all ranks have taken a first step
constexpr int kNever = -2;
constexpr int kNcclStart = -1;
constexpr int kNumSteps = 100000;  // some minutes: longer than the test that started this waits
constexpr int64_t kNumbers = 100000;

struct Death {
  int step = kNever;
  int signal = SIGKILL;
  bool in_backward = false;  // of passes that are taken instead of steps
};

void take_step(Communicator& ranks, torch::Tensor& gradient) {
  ranks.all_reduce(gradient, ReduceOp::kMean);
  ranks.synchronize();
}

/// A forward and a backward pass of ranks that hold a model together, each with a sum over them;
/// `in_backward` is called before the second.
void take_pass(Communicator& ranks, torch::Device device,
               const std::function<void()>& in_backward) {
  const auto x = torch::ones({kNumbers}, device).requires_grad_();
  const auto shared = share_with_group(x, &ranks);
  shared.register_hook([&](const torch::Tensor& gradient) {
    in_backward();
    return gradient;
  });
  sum_over_group(shared * 2, &ranks).sum().backward();
  ranks.synchronize();
}

void take_steps(Communicator& ranks, torch::Tensor& gradient, const Death& death) {
  for (int step = 0; step < kNumSteps; ++step) {
    ranks.set_stage(fmt::format("step {}", step));
    const auto die = [&] {
      if (step == death.step && ranks.rank() == ranks.size() - 1) raise(death.signal);
    };
    if (death.in_backward) {
      take_pass(ranks, gradient.device(), die);
    } else {
      die();
      take_step(ranks, gradient);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void write_pid(const std::string& folder, const char* when, int rank) {
  std::ofstream(fmt::format("{}/{}-{}", folder, when, rank)) << getpid() << std::endl;
}

void run(const MpiSession& session, const std::string& folder, double timeout_s,
         DeviceRequest request, const Death& death) {
  write_pid(folder, "pid", session.rank());
  MpiCommunicator host(MPI_COMM_WORLD, kStart_s);
  const MpiComm node_ranks = session.node();
  MpiCommunicator node(node_ranks.get(), kStart_s);
  const auto device = choose_device(request, host, node);
  const bool dies_at_start = death.step == kNcclStart;
  if (dies_at_start) host.set_timeout(timeout_s);
  const auto nccl = make_nccl(host, device, dies_at_start ? death.signal : 0);
  Communicator& ranks = nccl ? static_cast<Communicator&>(*nccl) : host;
  auto gradient = torch::ones({kNumbers}, device);
  take_step(ranks, gradient);  // NCCL's first one takes long
  ranks.barrier();
  host.set_timeout(timeout_s);
  write_pid(folder, "steps", session.rank());
  take_steps(ranks, gradient, death);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGUSR1, SIG_IGN);  // by it MPICH's mpirun tells the others that a rank has died
  const MpiSession session(&argc, &argv);
  set_up_log(session.rank());
  torch::set_num_threads(1);
  const auto word = [&](int i) { return std::string(i < argc ? argv[i] : ""); };
  const auto request = word(3) == "cuda" ? DeviceRequest::kCuda : DeviceRequest::kCpu;
  Death death;
  if (argc > 5) {
    death = {std::stoi(word(5)), word(4) == "stop" ? SIGSTOP : SIGKILL, word(6) == "pass"};
  }
  try {
    run(session, word(1), std::stod(word(2)), request, death);
  } catch (const std::exception& error) {
    log::error("rank {}: {}", session.name(), error.what());
    session.abort(1);
  }
  return 0;
}
