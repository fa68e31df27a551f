// Bytes that should be UTF-8 and may not be.
// Fed by whatever is read from files; used by readers and by messages that quote them.
#pragma once

#include <string>
#include <string_view>

namespace bovila {

/// The text with every maximal ill-formed part replaced by U+FFFD, as Python's errors="replace"
/// does. @throws UserError for one of 2^31 bytes or more.
std::string to_valid_utf8(std::string_view text);

bool is_valid_utf8(std::string_view text);

/// Windows-1252 as UTF-8; the five bytes that stand for nothing there become control characters, as
/// in browsers.
std::string from_windows_1252(std::string_view bytes);
/// UTF-16 with its byte-order mark as UTF-8; what is ill-formed, half a character at the end among
/// it, becomes U+FFFD.
std::string from_utf16(std::string_view bytes);

}  // namespace bovila
