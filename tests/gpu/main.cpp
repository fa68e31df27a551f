// doctest's main for the tests that need GPUs: mpirun -np N gpu_tests, one rank a GPU. Every rank
// runs every test; rank 0 reports, and another rank only when a test failed there, which fails on
// all. gpu_tests --devices prints the number of GPUs of this machine. Without one, or with more
// ranks than there are, it says so and exits with 2.
#include <doctest/doctest.h>

#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>

#include "bovila/core/log.h"
#include "bovila/dist/agreement.h"
#include "bovila/dist/device.h"
#include "bovila/dist/gpu_checks.h"
#include "tests/gpu/session.h"

const bovila::MpiSession* test_session = nullptr;
const torch::Device* test_device = nullptr;

namespace {

int run_tests(int argc, char** argv, int rank) {
  doctest::Context context(argc, argv);
  context.setOption("no-colors", true);
  std::ostringstream text;
  if (rank != 0) context.setCout(&text);
  const int mine = context.run();
  if (mine != 0) std::fprintf(stderr, "rank %d:\n%s\n", rank, text.str().c_str());
  int any = 0;
  MPI_Allreduce(&mine, &any, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
  return any;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "--devices") {
    std::cout << bovila::view_devices("").devices.size() << "\n";
    return 0;
  }
  const bovila::MpiSession session(&argc, &argv);
  bovila::set_up_log(session.rank());
  test_session = &session;
  auto ranks = all_ranks();
  const bovila::MpiComm comm = session.node();
  bovila::MpiCommunicator node(comm.get(), /*timeout_s=*/60);
  try {
    const torch::Device device = choose_device(bovila::DeviceRequest::kCuda, ranks, node);
    test_device = &device;
    if (session.rank() == 0) bovila::log::info("NCCL {}", bovila::nccl_version());
    return run_tests(argc, argv, session.rank());
  } catch (const bovila::AgreedError& error) {
    if (session.rank() == 0) bovila::log::error("the GPU tests need GPUs: {}", error.what());
    return static_cast<int>(error.code);
  }
}
