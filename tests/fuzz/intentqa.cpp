// IntentQA's .csv.
#include "bovila/data/annotations.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_intentqa(std::string_view bytes) {
  put("train.csv", bytes);
  read_annotations("intentqa", folder(), "train", false);
}

}  // namespace bovila::fuzz
