// Meta's params.json, and Hugging Face's config.json in the same text. What is accepted of the
// latter reads back as the same.
#include "bovila/core/error.h"
#include "src/weights/params_json.h"
#include "src/weights/params_readers.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_params(std::string_view bytes) {
  constexpr int64_t kPieces = 640;
  put("params.json", bytes);
  try {
    read_meta_params(folder(), kPieces).hidden_dim();
  } catch (const UserError&) {
  }
  const LlamaParams params = read_hf_config({"config.json", std::string(bytes)}, kPieces);
  try {
    const std::string text = to_hf_config(params);
    const std::string again = to_hf_config(read_hf_config({"again", text}, kPieces));
    BOVILA_CHECK(again == text, "{} reads back as {}", text, again);
  } catch (const UserError& error) {
    throw ProgramError("what was written is refused: {}", error.what());
  }
}

}  // namespace bovila::fuzz
