// A task of MVBench.
#include "bovila/data/annotations.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_mvbench(std::string_view bytes) {
  put("state_change.json", bytes);
  read_annotations("mvbench", folder(), "state_change", false);
}

}  // namespace bovila::fuzz
