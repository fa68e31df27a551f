// ICU's decoder of UTF-8.
#include "bovila/core/utf8.h"

#include <unicode/utf16.h>
#include <unicode/utf8.h>

#include <vector>

#include "bovila/core/error.h"

namespace bovila {
namespace {

/// Windows-1252's bytes 0x80 to 0x9F; the others are Latin-1's.
constexpr char16_t kWindows1252[] = {
    0x20AC, 0x0081, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x008D, 0x017D, 0x008F, 0x0090, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x009D, 0x017E, 0x0178};

void append_utf8(std::string& out, UChar32 c) {
  char bytes[U8_MAX_LENGTH];
  int32_t size = 0;
  U8_APPEND_UNSAFE(bytes, size, c);
  out.append(bytes, static_cast<size_t>(size));
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
  if (text.size() > INT32_MAX / 4) throw UserError("a text of {} bytes is too long", text.size());
  const auto size = static_cast<int32_t>(text.size());
  for (int32_t at = 0; at < size;) {
    UChar32 c;
    U8_NEXT(text.data(), at, size, c);
    if (c < 0) return false;
  }
  return true;
}

std::string from_windows_1252(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes) {
    const auto code = static_cast<unsigned char>(byte);
    append_utf8(out, code >= 0x80 && code < 0xA0 ? kWindows1252[code - 0x80] : code);
  }
  return out;
}

std::string from_utf16(std::string_view bytes) {
  const bool big = bytes.starts_with("\xFE\xFF");
  std::vector<char16_t> units;
  for (size_t at = 2; at + 1 < bytes.size(); at += 2) {
    const auto first = static_cast<unsigned char>(bytes[at]);
    const auto second = static_cast<unsigned char>(bytes[at + 1]);
    units.push_back(static_cast<char16_t>(big ? first << 8 | second : second << 8 | first));
  }
  if (bytes.size() % 2 == 1) units.push_back(0xFFFD);
  std::string out;
  for (size_t at = 0; at < units.size();) {
    UChar32 c;
    U16_NEXT(units.data(), at, units.size(), c);
    append_utf8(out, U_IS_SURROGATE(c) ? 0xFFFD : c);
  }
  return out;
}

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
