// A recursive descent over the pattern writes it anew for ICU and refuses what the libraries read
// differently. Without repeated groups no pattern takes exponential time.
#include "src/text/split_pattern.h"

#include <fmt/format.h>
#include <unicode/regex.h>
#include <unicode/unistr.h>
#include <unicode/utf16.h>
#include <unicode/utf8.h>

#include <algorithm>

#include "bovila/core/error.h"

namespace bovila {
namespace {

constexpr int kMaxGroupDepth = 20;
constexpr int kMaxRepeats = 1000;
constexpr int kMaxTime = 20'000;  // of a text, in ICU's units: a few seconds, or 40 MB of words

bool is_ascii_alnum(char32_t c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/// L, Lu, ...: the names that \p{..} may hold.
bool is_category(std::string_view name) {
  constexpr std::string_view kNames =
      " L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp C "
      "Cc Cf Co Cs ";
  return !name.empty() && name.find(' ') == std::string_view::npos &&
         kNames.find(fmt::format(" {} ", name)) != std::string_view::npos;
}

class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  std::string translate() {
    const bool nullable = alternatives();
    if (!at_end()) refuse("a ')' that closes nothing");
    if (nullable) refuse("a way to match no character");
    return std::move(out_);
  }

 private:
  /// Each of these translates what it is named after and returns whether that may be empty.
  bool alternatives() {
    if (++depth_ > kMaxGroupDepth) refuse("too many groups in one another");
    bool nullable = sequence();
    while (take("|")) {
      out_ += '|';
      nullable = sequence() || nullable;
    }
    --depth_;
    return nullable;
  }

  bool sequence() {
    bool nullable = true;
    while (!at_end() && peek() != '|' && peek() != ')') nullable = term() && nullable;
    return nullable;
  }

  bool term() {
    if (peek() == '(') return group();
    if (take("[")) {
      set();
    } else if (take("\\")) {
      escape();
    } else if (std::string_view("*+?{}]^$.").find(peek()) != std::string_view::npos) {
      refuse(fmt::format("'{}'", peek()));
    } else {
      literal(character());
    }
    return repetition(true);
  }

  bool group() {
    bool lookahead = false;
    const bool outer = ascii_only_;
    if (take("(?!") || take("(?=")) {
      lookahead = true;
      out_ += fmt::format("(?{}", pattern_[at_ - 1]);
    } else if (take("(?i:")) {
      ascii_only_ = true;
      out_ += "(?i:";
    } else if (take("(?:") || (!starts("(?") && take("("))) {
      out_ += "(?:";
    } else {
      refuse("a kind of group");
    }
    const bool nullable = alternatives();
    if (!take(")")) refuse("a '(' that is not closed");
    out_ += ')';
    ascii_only_ = outer;
    return (!lookahead && repetition(false)) || nullable || lookahead;
  }

  /// What may follow an item; whether it may then be empty.
  bool repetition(bool may_repeat) {
    if (at_end() || std::string_view("?*+{").find(peek()) == std::string_view::npos) return false;
    if (!may_repeat && peek() != '?') refuse("a repeated group");
    const bool counted = peek() == '{';
    const bool nullable = counted ? counts() : peek() != '+';
    if (!counted) out_ += pattern_[at_++];
    if (!counted && !at_end() && peek() == '+') out_ += pattern_[at_++];  // possessive
    if (!at_end() && std::string_view("?*+{").find(peek()) != std::string_view::npos) {
      refuse("a repetition of a repetition, or a lazy one");
    }
    return nullable;
  }

  /// {m}, {m,} or {m,n}.
  bool counts() {
    take("{");
    const int least = number();
    out_ += fmt::format("{{{}", least);
    if (take(",")) {
      out_ += ',';
      if (!at_end() && peek() != '}') {
        const int most = number();
        if (most < least) refuse("a repetition whose limits are swapped");
        out_ += fmt::format("{}", most);
      }
    }
    if (!take("}")) refuse("a '{' that is not closed");
    out_ += '}';
    return least == 0;
  }

  int number() {
    int value = 0;
    const size_t begin = at_;
    while (!at_end() && peek() >= '0' && peek() <= '9' && value <= kMaxRepeats) {
      value = value * 10 + (pattern_[at_++] - '0');
    }
    if (at_ == begin || value > kMaxRepeats) refuse("a number of repetitions");
    return value;
  }

  void set() {
    if (ascii_only_) refuse("a set where case is ignored");
    out_ += take("^") ? "[^" : "[";
    const size_t begin = at_;
    while (!at_end() && peek() != ']') {
      if (peek() == '[' || starts("&&") || starts("--") || starts("~~")) refuse("a set in a set");
      set_item(at_ == begin);
    }
    if (at_ == begin) refuse("an empty set");
    if (!take("]")) refuse("a '[' that is not closed");
    out_ += ']';
  }

  void set_item(bool first) {
    if (take("\\")) return escape();
    const char32_t low = character();
    literal(low);
    if (low == '-') {
      if (!first && !at_end() && peek() != ']') refuse("a '-' between two characters");
      return;
    }
    if (!starts("-") || at_ + 1 == pattern_.size() || pattern_[at_ + 1] == ']') return;
    take("-");
    if (!at_end() && (peek() == '\\' || peek() == '[' || peek() == '-')) {
      refuse("a range to no character");
    }
    const char32_t high = character();
    if (high < low) refuse("a range whose ends are swapped");
    out_ += '-';
    literal(high);
  }

  /// What follows a backslash, alone or in a set.
  void escape() {
    if (at_end()) refuse("a '\\' at its end");
    if (ascii_only_) refuse("an escape where case is ignored");
    const char c = pattern_[at_++];
    switch (c) {
      case 's':
        out_ += "\\p{White_Space}";
        return;
      case 'S':
        out_ += "\\P{White_Space}";
        return;
      case 'd':
        out_ += "\\p{Nd}";
        return;
      case 'D':
        out_ += "\\P{Nd}";
        return;
      case 'r':
        return literal('\r');
      case 'n':
        return literal('\n');
      case 't':
        return literal('\t');
      case 'f':
        return literal('\f');
      case 'p':
      case 'P':
        return category(c);
      default:
        break;
    }
    if (is_ascii_alnum(static_cast<unsigned char>(c)) || static_cast<unsigned char>(c) >= 0x80) {
      refuse("an escape");
    }
    literal(c);
  }

  void category(char kind) {
    const size_t end = pattern_.find('}', at_);
    if (!take("{") || end == std::string_view::npos) refuse("a \\p without {..}");
    const std::string_view name = pattern_.substr(at_, end - at_);
    if (!is_category(name)) refuse("a class that is no general category");
    out_ += fmt::format("\\{}{{{}}}", kind, name);
    at_ = end + 1;
  }

  void literal(char32_t c) {
    if (ascii_only_ && c >= 0x80) refuse("a character beyond ASCII where case is ignored");
    out_ += fmt::format("\\x{{{:X}}}", static_cast<uint32_t>(c));
  }

  char32_t character() {
    auto at = static_cast<int32_t>(at_);
    UChar32 c = -1;
    if (!at_end()) U8_NEXT(pattern_.data(), at, static_cast<int32_t>(pattern_.size()), c);
    if (c < 0) refuse("an end or bytes that are no character");
    at_ = static_cast<size_t>(at);
    return static_cast<char32_t>(c);
  }

  bool at_end() const { return at_ >= pattern_.size(); }
  char peek() const { return at_end() ? '\0' : pattern_[at_]; }
  bool starts(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }
  bool take(std::string_view text) {
    if (!starts(text)) return false;
    at_ += text.size();
    return true;
  }

  [[noreturn]] void refuse(const std::string& what) const {
    throw UserError("the split pattern \"{}\" has {} at byte {}, which is not implemented",
                    pattern_, what, std::min(at_, pattern_.size()));
  }

  std::string_view pattern_;
  size_t at_ = 0;
  int depth_ = 0;
  bool ascii_only_ = false;
  std::string out_;
};

/// Follows a position in UTF-16 through the same text in UTF-8; it only goes forward.
class Utf8Position {
 public:
  explicit Utf8Position(std::string_view text) : text_(text) {}

  size_t at(int32_t utf16) {
    while (utf16_ < utf16) {
      UChar32 c;
      U8_NEXT(text_.data(), utf8_, static_cast<int32_t>(text_.size()), c);
      utf16_ += U16_LENGTH(c);
    }
    return static_cast<size_t>(utf8_);
  }

 private:
  std::string_view text_;
  int32_t utf8_ = 0;
  int32_t utf16_ = 0;
};

}  // namespace

struct SplitPattern::Compiled {
  std::string text;
  std::unique_ptr<icu::RegexPattern> pattern;
};

SplitPattern::SplitPattern(std::string_view pattern) {
  const std::string text = Translator(pattern).translate();
  UErrorCode status = U_ZERO_ERROR;
  UParseError place;
  std::unique_ptr<icu::RegexPattern> compiled(
      icu::RegexPattern::compile(icu::UnicodeString::fromUTF8(text), 0, place, status));
  if (U_FAILURE(status)) {
    throw UserError("the split pattern \"{}\" is refused by ICU: {}", pattern, u_errorName(status));
  }
  compiled_ = std::make_unique<Compiled>(Compiled{std::string(pattern), std::move(compiled)});
}

SplitPattern::~SplitPattern() = default;
SplitPattern::SplitPattern(SplitPattern&&) noexcept = default;

std::vector<ByteRange> SplitPattern::find_all(std::string_view text) const {
  UErrorCode status = U_ZERO_ERROR;
  const auto wide = icu::UnicodeString::fromUTF8({text.data(), static_cast<int32_t>(text.size())});
  const std::unique_ptr<icu::RegexMatcher> matcher(compiled_->pattern->matcher(wide, status));
  if (U_SUCCESS(status)) matcher->setTimeLimit(kMaxTime, status);
  std::vector<ByteRange> matches;
  Utf8Position position(text);
  while (U_SUCCESS(status) && matcher->find(status)) {
    const size_t begin = position.at(matcher->start(status));
    matches.push_back({begin, position.at(matcher->end(status))});
  }
  if (U_FAILURE(status)) {
    throw UserError("the split pattern \"{}\" fails on a text of {} bytes: {}", compiled_->text,
                    text.size(), u_errorName(status));
  }
  return matches;
}

}  // namespace bovila
