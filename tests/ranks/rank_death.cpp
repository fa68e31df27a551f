// Ranks that take steps together until one of them dies or stops: mpirun -np N rank_death FOLDER
// TIMEOUT_S [kill|stop STEP]. Each rank writes its process id to FOLDER/pid-RANK when all have
// started; with kill or stop the last rank ends or halts itself before that step. Errors end the
// job as in bovila's main. Used by tests/cli/rank_death.sh.
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <string>
#include <thread>

#include "bovila/core/error.h"
#include "bovila/core/log.h"
#include "bovila/dist/communicator.h"
#include "bovila/dist/mpi_session.h"

namespace {

constexpr int kNever = -1;
constexpr int kNumSteps = 100000;  // some minutes: longer than the test that started this waits

void take_steps(bovila::Communicator& ranks, int death, int signal) {
  auto gradient = torch::ones({100000});
  for (int step = 0; step < kNumSteps; ++step) {
    ranks.set_stage(fmt::format("step {}", step));
    if (step == death && ranks.rank() == ranks.size() - 1) raise(signal);
    ranks.all_reduce(gradient, bovila::ReduceOp::kMean);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bovila::MpiSession session(&argc, &argv);
  bovila::set_up_log(session.rank());
  torch::set_num_threads(1);
  const std::string folder = argv[1];
  const int signal = argc > 3 && std::string(argv[3]) == "stop" ? SIGSTOP : SIGKILL;
  try {
    bovila::MpiCommunicator ranks(MPI_COMM_WORLD, std::stod(argv[2]));
    ranks.barrier();
    std::ofstream(fmt::format("{}/pid-{}", folder, session.rank())) << getpid() << std::endl;
    take_steps(ranks, argc > 4 ? std::stoi(argv[4]) : kNever, signal);
  } catch (const std::exception& error) {
    bovila::log::error("rank {}: {}", session.name(), error.what());
    session.abort(1);
  }
  return 0;
}
