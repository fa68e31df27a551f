// An .srt text in any encoding.
#include "bovila/data/subtitles.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_srt(std::string_view bytes) {
  TextEncoding encoding{};
  const std::string text = decode_text(bytes, encoding);
  for (const Subtitle& subtitle : parse_srt(text)) in_clip(subtitle, 10, 20);
}

}  // namespace bovila::fuzz
