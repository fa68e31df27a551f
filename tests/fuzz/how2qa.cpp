// How2QA's .csv.
#include "bovila/data/annotations.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_how2qa(std::string_view bytes) {
  put("train.csv", bytes);
  read_annotations("how2qa", folder(), "train", false);
}

}  // namespace bovila::fuzz
