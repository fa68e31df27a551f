// One's own data set, with and without dialogues.
#include "bovila/core/error.h"
#include "bovila/data/annotations.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_jsonl(std::string_view bytes) {
  put("train.jsonl", bytes);
  read_annotations("jsonl", folder(), "train", true);
  read_annotations("jsonl", folder(), "train", false);
}

}  // namespace bovila::fuzz
