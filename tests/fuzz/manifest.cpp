// A checkpoint's manifest.json, whatever is beside it.
#include "bovila/checkpoint/checkpoint.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_manifest(std::string_view bytes) {
  put("step-00000100/state.h5", "");
  put("step-00000100/deck.toml", "");
  put("step-00000100/progress.json", "{}");
  put("step-00000100/manifest.json", bytes);
  verify_checkpoint(folder() + "/step-00000100");
}

}  // namespace bovila::fuzz
