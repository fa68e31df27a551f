// Ranks that take steps together until one of them hangs, and report it: mpirun -np N rank_hang
// FOLDER TIMEOUT_S PLACE VICTIM STEP. PLACE is where rank VICTIM hangs: before the all-reduce of
// that step, inside it, between it and the step's decision, or `stop`, where it stops itself there.
// Each rank writes its process id to FOLDER/pid-RANK. `none`: no rank hangs, and STEP steps, of a
// tenth of a second each, are taken. Used by tests/cli/hang.sh.
#include <mpi.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <memory>
#include <numeric>
#include <string>
#include <thread>

#include "bovila/core/error.h"
#include "bovila/core/log.h"
#include "bovila/dist/hang/hang_reporter.h"
#include "bovila/dist/mpi_session.h"
#include "tests/ranks/nccl.h"

namespace {

using namespace bovila;

constexpr double kStart_s = 120;  // time limit until all ranks have taken a first step
constexpr int64_t kNumbers = 1000;

struct Plan {
  std::string folder, place;
  double timeout_s = 1;
  int victim = 0;
  int step = 0;
};

bool hangs_in_mpi = false;

[[noreturn]] void hang_for_good() {
  while (true) std::this_thread::sleep_for(std::chrono::seconds(1));
}

/// Whether this rank hangs at the place of this step that it is at.
void maybe_hang(const Plan& plan, const char* place, int step, int rank) {
  if (rank != plan.victim || step != plan.step) return;
  if (plan.place == "stop" && std::string(place) == "between") raise(SIGSTOP);
  if (plan.place != place) return;
  if (plan.place == "inside") {
    hang_in_nccl();
    hangs_in_mpi = true;
    return;
  }
  hang_for_good();
}

void take_step(const Plan& plan, int step, Communicator& ranks, torch::Tensor& gradient) {
  ranks.set_stage(fmt::format("step {}", step));
  maybe_hang(plan, "before", step, ranks.rank());
  maybe_hang(plan, "inside", step, ranks.rank());
  ranks.all_reduce(gradient, ReduceOp::kMean);
  ranks.synchronize();
  maybe_hang(plan, "between", step, ranks.rank());
  ranks.max(step);
}

void run(const MpiSession& session, const Plan& plan) {
  CollectiveRecord record;
  MpiCommunicator host(MPI_COMM_WORLD, kStart_s);
  const auto nccl = make_nccl(host, torch::kCPU, 0);
  Communicator& ranks = nccl ? static_cast<Communicator&>(*nccl) : host;
  std::vector<int> all(static_cast<size_t>(ranks.size()));
  std::iota(all.begin(), all.end(), 0);
  host.record_in(record, {"all ranks", all});
  if (nccl) nccl->record_in(record, {"all ranks over NCCL", all});
  const HangReporter hangs(plan.folder, record, ranks, "cpu", nccl != nullptr);
  std::ofstream(fmt::format("{}/pid-{}", plan.folder, session.rank())) << getpid() << std::endl;
  auto gradient = torch::ones({kNumbers});
  take_step(plan, -1, ranks, gradient);
  host.set_timeout(plan.timeout_s);
  const int last = plan.place == "none" ? plan.step : 1000000;
  for (int step = 0; step < last; ++step) {
    take_step(plan, step, ranks, gradient);
    if (plan.place == "none") std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

}  // namespace

/// Stands before MPI's own: where the waits of dist/mpi_communicator.h are.
extern "C" int MPI_Test(MPI_Request* request, int* flag, MPI_Status* status) {
  if (hangs_in_mpi) hang_for_good();
  return PMPI_Test(request, flag, status);
}

int main(int argc, char** argv) {
  const MpiSession session(&argc, &argv);
  set_up_log(session.rank());
  torch::set_num_threads(1);
  if (argc != 6) return 2;
  const Plan plan{argv[1], argv[3], std::stod(argv[2]), std::stoi(argv[4]), std::stoi(argv[5])};
  try {
    run(session, plan);
  } catch (const std::exception& error) {
    log::error("rank {}: {}", session.name(), error.what());
    session.abort(1);
  }
  return 0;
}
