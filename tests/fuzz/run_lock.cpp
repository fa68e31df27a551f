// The run.lock that another run left in an output folder.
#include "bovila/checkpoint/run_lock.h"

#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_run_lock(std::string_view bytes) {
  put("run/run.lock", bytes);
  const RunLock lock(folder() + "/run", std::chrono::milliseconds(1));
}

}  // namespace bovila::fuzz
