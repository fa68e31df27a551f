// A pattern that a tokenizer.json splits texts by and, behind a record separator, a text.
#include "src/text/split_pattern.h"

#include "bovila/core/utf8.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_split_pattern(std::string_view bytes) {
  const auto texts = parts(bytes, 2);
  SplitPattern(texts[0]).find_all(to_valid_utf8(texts[1]));
}

}  // namespace bovila::fuzz
