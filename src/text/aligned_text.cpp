// Bytes and where they come from. A changed part's bytes count up from where the part begins, as
// far as it goes: what was one character keeps the order of its bytes.
#include "src/text/aligned_text.h"

#include <unicode/bytestream.h>
#include <unicode/uniset.h>
#include <unicode/utf8.h>

#include <algorithm>

#include "bovila/core/error.h"

namespace bovila {
namespace {

/// Appends what stands for the bytes [begin, end) of the original.
void append(AlignedText& out, std::string_view bytes, int64_t begin, int64_t end) {
  out.text += bytes;
  for (size_t i = 0; i < bytes.size(); ++i) {
    out.origin.push_back(std::min(begin + static_cast<int64_t>(i), end));
  }
}

void append(AlignedText& out, const AlignedText& from, size_t begin, size_t end) {
  out.text.append(from.text, begin, end - begin);
  out.origin.insert(out.origin.end(), from.origin.begin() + static_cast<ptrdiff_t>(begin),
                    from.origin.begin() + static_cast<ptrdiff_t>(end));
}

const icu::Normalizer2& all_rules(UnicodeForm form) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* found = nullptr;
  switch (form) {
    case UnicodeForm::kNfc:
      found = icu::Normalizer2::getNFCInstance(status);
      break;
    case UnicodeForm::kNfd:
      found = icu::Normalizer2::getNFDInstance(status);
      break;
    case UnicodeForm::kNfkc:
      found = icu::Normalizer2::getNFKCInstance(status);
      break;
    case UnicodeForm::kNfkd:
      found = icu::Normalizer2::getNFKDInstance(status);
      break;
  }
  BOVILA_CHECK(U_SUCCESS(status) && found != nullptr, "ICU: {}", u_errorName(status));
  return *found;
}

std::string normalized(const icu::Normalizer2& form, std::string_view part) {
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  UErrorCode status = U_ZERO_ERROR;
  form.normalizeUTF8(0, {part.data(), static_cast<int32_t>(part.size())}, sink, nullptr, status);
  BOVILA_CHECK(U_SUCCESS(status), "ICU: {}", u_errorName(status));
  return out;
}

/// End of the part that begins at `begin` and is normalized without a look at what is around it.
size_t part_end(const icu::Normalizer2& form, std::string_view text, size_t begin) {
  const auto size = static_cast<int32_t>(text.size());
  auto at = static_cast<int32_t>(begin);
  U8_FWD_1(text.data(), at, size);
  while (at < size) {
    int32_t next = at;
    UChar32 c;
    U8_NEXT(text.data(), next, size, c);
    if (form.hasBoundaryBefore(c)) break;
    at = next;
  }
  return static_cast<size_t>(at);
}

}  // namespace

AlignedText AlignedText::slice(size_t begin, size_t end) const {
  return {text.substr(begin, end - begin),
          {origin.begin() + static_cast<ptrdiff_t>(begin),
           origin.begin() + static_cast<ptrdiff_t>(end) + 1}};
}

void AlignedText::prepend(std::string_view prefix) {
  text.insert(0, prefix);
  origin.insert(origin.begin(), prefix.size(), origin.front());
}

AlignedText align(std::string_view text) {
  if (text.size() > INT32_MAX / 4) throw UserError("a text of {} bytes is too long", text.size());
  const auto size = static_cast<int32_t>(text.size());
  AlignedText out;
  out.text.reserve(text.size());
  out.origin.reserve(text.size() + 1);
  for (int32_t at = 0; at < size;) {
    const int32_t begin = at;
    UChar32 c;
    U8_NEXT(text.data(), at, size, c);
    append(out, c < 0 ? "\xEF\xBF\xBD" : text.substr(begin, at - begin), begin, at);
  }
  out.origin.push_back(size);
  return out;
}

AlignedText replace_all(const AlignedText& text, std::string_view from, std::string_view to) {
  AlignedText out;
  size_t at = 0;
  for (size_t found = 0; (found = text.text.find(from, at)) != std::string::npos;) {
    append(out, text, at, found);
    at = found + from.size();
    append(out, to, text.origin[found], text.origin[at]);
  }
  append(out, text, at, text.text.size());
  out.origin.push_back(text.origin.back());
  return out;
}

UnicodeNormalizer::UnicodeNormalizer(UnicodeForm form) {
  UErrorCode status = U_ZERO_ERROR;
  known_ = std::make_shared<icu::UnicodeSet>(u"[:Age=9.0:]", status);
  BOVILA_CHECK(U_SUCCESS(status), "ICU: {}", u_errorName(status));
  rules_ = std::make_shared<icu::FilteredNormalizer2>(all_rules(form), *known_);
}

AlignedText UnicodeNormalizer::operator()(const AlignedText& text) const {
  AlignedText out;
  for (size_t begin = 0; begin < text.text.size();) {
    const size_t end = part_end(*rules_, text.text, begin);
    const std::string_view part = std::string_view(text.text).substr(begin, end - begin);
    const std::string changed = normalized(*rules_, part);
    if (changed == part) {
      append(out, text, begin, end);
    } else {
      append(out, changed, text.origin[begin], text.origin[end]);
    }
    begin = end;
  }
  out.origin.push_back(text.origin.back());
  return out;
}

}  // namespace bovila
