// doctest's main for tests that run on several ranks: mpirun -np N mpi_tests. Every rank runs every
// test; rank 0 reports, and another rank only when a test failed there, which fails on all. No rank
// sees a GPU, so that these tests prove the same on every machine; tests/gpu is for GPUs.
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "bovila/core/log.h"
#include "bovila/dist/mpi_session.h"
#include "tests/mpi/session.h"

const bovila::MpiSession* test_session = nullptr;

int main(int argc, char** argv) {
  setenv("CUDA_VISIBLE_DEVICES", "", /*overwrite=*/1);
  const bovila::MpiSession session(&argc, &argv);
  bovila::set_up_log(session.rank());
  test_session = &session;
  doctest::Context context(argc, argv);
  context.setOption("no-colors", true);
  std::ostringstream text;
  if (session.rank() != 0) context.setCout(&text);
  const int mine = context.run();
  if (mine != 0) std::fprintf(stderr, "rank %d:\n%s\n", session.rank(), text.str().c_str());
  int any = 0;
  MPI_Allreduce(&mine, &any, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
  return any;
}
