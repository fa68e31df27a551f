// Perception Test's .json.
#include "bovila/data/annotations.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_perceptiontest(std::string_view bytes) {
  put("mc_question_train.json", bytes);
  read_annotations("perceptiontest", folder(), "train", false);
}

}  // namespace bovila::fuzz
