// golden_group_tests' answer: mpirun -np T golden_group_tests.
#include "tests/golden/group.h"
#include "tests/mpi/session.h"

bovila::Communicator* golden::group() {
  static auto ranks = all_ranks();
  return ranks.size() > 1 ? &ranks : nullptr;
}
