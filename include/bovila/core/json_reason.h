// What a JSON parser says of a text that it refuses, in words for who wrote the text.
// Fed by nlohmann's exceptions; feeds the messages of data/.
#pragma once

#include <string>
#include <string_view>

namespace bovila {

/// A parser's `what()` without its mark "[json.exception...]", as valid UTF-8. Of a text that is
/// one line of a file the parser counts lines of its own: "at line 1, column 7" becomes "at column
/// 7".
std::string json_reason(std::string_view what, bool is_one_line);

}  // namespace bovila
