// ICU's decoder of UTF-8.
#include "bovila/core/utf8.h"

#include <unicode/utf8.h>

#include "bovila/core/error.h"

namespace bovila {

std::string to_valid_utf8(std::string_view text) {
  if (text.size() > INT32_MAX / 4) throw UserError("a text of {} bytes is too long", text.size());
  const auto size = static_cast<int32_t>(text.size());
  std::string out;
  out.reserve(text.size());
  for (int32_t at = 0; at < size;) {
    const int32_t begin = at;
    UChar32 c;
    U8_NEXT(text.data(), at, size, c);
    if (c < 0) {
      out += "\xEF\xBF\xBD";
    } else {
      out.append(text, begin, at - begin);
    }
  }
  return out;
}

}  // namespace bovila
