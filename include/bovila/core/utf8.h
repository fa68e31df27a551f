// Bytes that should be UTF-8 and may not be.
// Fed by whatever is read from files; used by readers and by messages that quote them.
#pragma once

#include <string>
#include <string_view>

namespace bovila {

/// The text with every maximal ill-formed part replaced by U+FFFD, as Python's errors="replace"
/// does. @throws UserError for one of 2^31 bytes or more.
std::string to_valid_utf8(std::string_view text);

}  // namespace bovila
