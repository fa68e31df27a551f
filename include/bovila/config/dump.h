// A Config as text: the resolved deck that is broadcast and kept beside the results.
// Fed by config/keys.h; feeds output.folder/config.json and, through Deck::resolved, the other
// ranks.
#pragma once

#include <string>
#include <string_view>

#include "bovila/config/config.h"
#include "bovila/config/keys.h"

namespace bovila {

/// Every key with its value, as TOML that parse_deck turns into an equal Config. A key without a
/// value (train.lr) is a comment.
std::string to_toml(const Config& config);

/// The same as JSON: an object of tables; null for a key without a value.
std::string to_json(const Config& config);

/// One key's value as TOML; "" for an optional one without a value. Numbers are the shortest that
/// read back as the same number.
std::string value_text(const Key& key, const Config& config);

/// The shortest number that TOML reads as this float, and not as an integer.
std::string float_text(double value);

/// `text` as a TOML string on one line, with its quotes.
std::string quote(std::string_view text);

}  // namespace bovila
