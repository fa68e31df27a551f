// doctest's main for tests that run on several ranks: mpirun -np N mpi_tests. Every rank runs every
// test; rank 0 alone reports, and a failure on any rank is one of rank 0's.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <fstream>

#include "bovila/core/log.h"
#include "bovila/dist/mpi_session.h"
#include "tests/mpi/session.h"

const bovila::MpiSession* test_session = nullptr;

int main(int argc, char** argv) {
  const bovila::MpiSession session(&argc, &argv);
  bovila::set_up_log(session.rank());
  test_session = &session;
  doctest::Context context(argc, argv);
  std::ofstream quiet;
  if (session.rank() != 0) context.setCout(&quiet);
  const int mine = context.run();
  int any = 0;
  MPI_Allreduce(&mine, &any, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
  if (any != mine) fprintf(stderr, "a test failed on another rank than 0\n");
  return any;
}
