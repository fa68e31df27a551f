// A SentencePiece model behind our interface.
#include "src/text/tokenizer_forms.h"
#include "tests/fuzz/harness/files.h"
#include "tests/fuzz/harness/tokens.h"

namespace bovila::fuzz {

void fuzz_sentencepiece(std::string_view bytes) {
  use(*load_sentencepiece("input", std::string(bytes)));
}

}  // namespace bovila::fuzz
