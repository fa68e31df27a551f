// Python's text rules by ICU, whose case mappings are those of the Unicode standard as Python's
// are.
#include "bovila/text/text.h"

#include <unicode/bytestream.h>
#include <unicode/casemap.h>
#include <unicode/stringoptions.h>
#include <unicode/utf8.h>

#include <cmath>

#include "bovila/core/error.h"
#include "bovila/core/utf8.h"

namespace bovila {
namespace {

icu::StringPiece piece(std::string_view text) {
  return {text.data(), static_cast<int32_t>(text.size())};
}

std::string lower(std::string_view text) {
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  UErrorCode status = U_ZERO_ERROR;
  icu::CaseMap::utf8ToLower("", 0, piece(text), sink, nullptr, status);
  BOVILA_CHECK(U_SUCCESS(status), "ICU: {}", u_errorName(status));
  return out;
}

/// Title case of one character. The options keep ICU from looking for a word in it.
std::string title(std::string_view character) {
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  UErrorCode status = U_ZERO_ERROR;
  icu::CaseMap::utf8ToTitle("", U_TITLECASE_WHOLE_STRING | U_TITLECASE_NO_BREAK_ADJUSTMENT, nullptr,
                            piece(character), sink, nullptr, status);
  BOVILA_CHECK(U_SUCCESS(status), "ICU: {}", u_errorName(status));
  return out;
}

/// Python's white space: Unicode's, and the four ASCII separators 0x1C..0x1F.
bool is_space(UChar32 c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

int32_t checked_size(std::string_view text) {
  if (text.size() > INT32_MAX / 4) throw UserError("a text of {} bytes is too long", text.size());
  return static_cast<int32_t>(text.size());
}

}  // namespace

std::string capitalize(std::string_view text) {
  checked_size(text);
  const std::string valid = to_valid_utf8(text);
  if (valid.empty()) return "";
  int32_t first_size = 0;
  U8_FWD_1(valid.data(), first_size, static_cast<int32_t>(valid.size()));
  const std::string first = valid.substr(0, first_size);
  // The rest is lowered with the first character before it: a sigma looks back to find a word.
  return title(first) + lower(valid).substr(lower(first).size());
}

std::string_view strip_right(std::string_view text) {
  int32_t end = checked_size(text);
  while (end > 0) {
    int32_t before = end;
    UChar32 c;
    U8_PREV(text.data(), 0, before, c);
    if (!is_space(c)) break;
    end = before;
  }
  return text.substr(0, end);
}

std::string_view strip(std::string_view text) {
  text = strip_right(text);
  const auto size = static_cast<int32_t>(text.size());
  int32_t begin = 0;
  while (begin < size) {
    int32_t after = begin;
    UChar32 c;
    U8_NEXT(text.data(), after, size, c);
    if (!is_space(c)) break;
    begin = after;
  }
  return text.substr(begin);
}

int64_t round_half_even(double value) {
  BOVILA_CHECK(std::abs(value) <= 9007199254740992.0, "cannot round {}", value);
  return static_cast<int64_t>(std::nearbyint(value));  // in IEEE's default mode: half to even
}

std::string normalize_question(std::string_view question) {
  const std::string capitalized = capitalize(question);
  std::string text(strip(capitalized));
  if (!text.ends_with('?')) text += '?';
  return text;
}

}  // namespace bovila
