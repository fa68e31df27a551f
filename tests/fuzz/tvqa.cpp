// TVQA's lines of questions and, behind a record separator, one video's .srt.
#include "bovila/data/annotations.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_tvqa(std::string_view bytes) {
  const auto texts = parts(bytes, 2);
  put("tvqa_train.jsonl", texts[0]);
  put("tvqa_subtitles/s03e20_seg02_clip_08.srt", texts[1]);
  read_annotations("tvqa", folder(), "train", true);
}

}  // namespace bovila::fuzz
