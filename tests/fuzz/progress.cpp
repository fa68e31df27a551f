// A checkpoint's progress.json. What is accepted is written and reads back as the same.
#include "bovila/core/error.h"
#include "src/checkpoint/checkpoint_format.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_progress(std::string_view bytes) {
  using namespace checkpoint_format;
  const std::string text = write_progress(read_progress(bytes, "progress.json"));
  try {
    BOVILA_CHECK(write_progress(read_progress(text, "again")) == text, "{} changes", text);
  } catch (const UserError& error) {
    throw ProgramError("what was written is refused: {}", error.what());
  }
}

}  // namespace bovila::fuzz
