// DramaQA's list of questions.
#include "bovila/data/annotations.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_dramaqa(std::string_view bytes) {
  put("AnotherMissOhQA_train_set.json", bytes);
  read_annotations("dramaqa", folder(), "train", false);
}

}  // namespace bovila::fuzz
