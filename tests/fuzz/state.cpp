// The arrays of a checkpoint: state.h5, after its manifest has vouched for it.
#include "src/checkpoint/checkpoint_format.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_state(std::string_view bytes) {
  std::vector<NamedArray> arrays = {{"weight", {2, 3}, {}}, {"adamw/step", {}, {}}};
  checkpoint_format::read_arrays(bytes, "state.h5", arrays);
}

}  // namespace bovila::fuzz
