// One state: whether a text is open.
#include "src/data/sets/json_text.h"

#include <algorithm>
#include <sstream>

#include "bovila/core/utf8.h"
#include "bovila/text/text.h"

namespace bovila {
namespace {

constexpr std::string_view kNull = "null";
constexpr std::string_view kBetween = ",{}[]\n";  // what ends a value or begins a key

}  // namespace

void NanAsNull::put(char c) {
  buffer_[kKept + size_++] = c;
}

NanAsNull::int_type NanAsNull::underflow() {
  if (gptr() < egptr()) return traits_type::to_int_type(*gptr());
  const auto have = std::min<size_t>(static_cast<size_t>(gptr() - eback()), kKept);
  std::copy(gptr() - have, gptr(), buffer_.data() + kKept - have);
  size_ = 0;
  while (size_ + kNull.size() <= kBuffer) {
    const int_type next = source_.sbumpc();
    if (next == traits_type::eof()) break;
    const char c = traits_type::to_char_type(next);
    if (in_text_) {
      in_text_ = is_escaped_ || c != '"';
      is_escaped_ = !is_escaped_ && c == '\\';
    } else if (c == '"') {
      in_text_ = true;
    } else if (c == 'N' && source_.sgetc() == 'a') {
      source_.sbumpc();
      const bool is_nan = source_.sgetc() == 'N';
      if (is_nan) source_.sbumpc();
      for (const char letter : is_nan ? kNull : std::string_view("Na")) put(letter);
      continue;
    }
    put(c);
  }
  char* const begin = buffer_.data() + kKept;
  setg(begin - have, begin, begin + size_);
  return size_ == 0 ? traits_type::eof() : traits_type::to_int_type(*begin);
}

std::string NanAsNull::place() {
  std::string text(eback(), gptr());
  const size_t at = text.empty() ? 0 : text.size() - 1;
  for (size_t i = 0; i < kKept && !is_at_end(); ++i) text += traits_type::to_char_type(sbumpc());
  return json_place(text, at);
}

std::string nan_as_null(std::string_view text) {
  std::istringstream in{std::string(text)};
  NanAsNull filter(*in.rdbuf());
  std::ostringstream out;
  out << &filter;
  return std::move(out).str();
}

std::string json_place(std::string_view text, size_t at) {
  constexpr size_t kMaxBytes = 80;
  at = std::min(at, text.size());
  const size_t before = at == 0 ? std::string_view::npos : text.find_last_of(kBetween, at - 1);
  const size_t begin = before == std::string_view::npos ? 0 : before + 1;
  const size_t end = std::min(text.find_first_of(kBetween, at), text.size());
  const std::string_view place = strip(text.substr(begin, std::max(end, at) - begin));
  return to_valid_utf8(place.size() > kMaxBytes ? place.substr(place.size() - kMaxBytes) : place);
}

}  // namespace bovila
