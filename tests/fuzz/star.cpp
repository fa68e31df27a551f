// STAR's list of questions.
#include "bovila/data/annotations.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_star(std::string_view bytes) {
  put("STAR_train.json", bytes);
  read_annotations("star", folder(), "train", false);
}

}  // namespace bovila::fuzz
