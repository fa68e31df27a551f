// NExT-QA's .csv.
#include "bovila/data/annotations.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_nextqa(std::string_view bytes) {
  put("train.csv", bytes);
  read_annotations("nextqa", folder(), "train", false);
}

}  // namespace bovila::fuzz
