// golden_tests' answer.
#include "tests/golden/group.h"

bovila::Communicator* golden::group() {
  return nullptr;
}
