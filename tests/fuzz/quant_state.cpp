// What bitsandbytes says of a tensor of 4 bits. What is accepted reads back as the same.
#include "src/weights/quant_state.h"

#include "bovila/core/error.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_quant_state(std::string_view bytes) {
  const QuantState state = read_quant_state("quant_state", std::string(bytes));
  std::string text;
  try {
    text = quant_state_text(state);
    const std::string again = quant_state_text(read_quant_state("again", text));
    BOVILA_CHECK(again == text, "{} reads back as {}", text, again);
  } catch (const UserError& error) {
    throw ProgramError("{} is refused: {}", text, error.what());
  }
}

}  // namespace bovila::fuzz
