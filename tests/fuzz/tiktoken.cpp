// The lines of a tiktoken file, of which a whole one has 128,000, and what tells its form.
#include "bovila/text/tokenizer.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_tiktoken(std::string_view bytes) {
  load_tokenizer(put("tokenizer.model", bytes));
}

}  // namespace bovila::fuzz
