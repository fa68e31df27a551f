// VLEP's lines of questions and, behind a record separator, its lines of subtitles.
#include "bovila/data/annotations.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_vlep(std::string_view bytes) {
  const auto texts = parts(bytes, 2);
  put("vlep_train_release.jsonl", texts[0]);
  put("vlep_subtitles.jsonl", texts[1]);
  read_annotations("vlep", folder(), "train", true);
}

}  // namespace bovila::fuzz
