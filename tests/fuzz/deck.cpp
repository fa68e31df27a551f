// A deck and, behind record separators, two --set. What is accepted reads back as the same deck.
#include "bovila/config/deck.h"

#include "bovila/config/dump.h"
#include "bovila/core/error.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_deck(std::string_view bytes) {
  const auto texts = parts(bytes, 3);
  std::vector<std::string> overrides;
  for (const std::string_view text : {texts[1], texts[2]}) {
    if (!text.empty()) overrides.emplace_back(text);
  }
  const Deck deck = parse_deck(texts[0], "deck", overrides);
  to_json(deck.config);
  try {
    const std::string again = parse_deck(deck.resolved, "resolved deck").resolved;
    BOVILA_CHECK(again == deck.resolved, "{} reads back as {}", deck.resolved, again);
  } catch (const UserError& error) {
    throw ProgramError("the resolved deck is refused: {}", error.what());
  }
}

}  // namespace bovila::fuzz
