// An .srt text.
#include "bovila/data/subtitles.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_srt(std::string_view bytes) {
  for (const Subtitle& subtitle : parse_srt(bytes)) in_clip(subtitle, 10, 20);
}

}  // namespace bovila::fuzz
