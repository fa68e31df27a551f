// tokenizer.json and, behind a record separator, the tokenizer_config.json beside it.
#include "src/text/tokenizer_forms.h"
#include "tests/fuzz/harness/files.h"
#include "tests/fuzz/harness/tokens.h"

namespace bovila::fuzz {

void fuzz_tokenizer_json(std::string_view bytes) {
  const auto texts = parts(bytes, 2);
  put("tokenizer/tokenizer_config.json", texts[1].empty() ? "{}" : texts[1]);
  use(*load_tokenizer_json(folder() + "/tokenizer/tokenizer.json", std::string(texts[0])));
}

}  // namespace bovila::fuzz
