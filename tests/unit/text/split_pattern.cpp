// Split patterns: what they match as the libraries do, and what of them is refused.
#include "src/text/split_pattern.h"

#include "tests/unit/temp_folder.h"

using namespace bovila;
using testing::contains;
using testing::error_of;

namespace {

using Words = std::vector<std::string>;

Words words(std::string_view pattern, std::string_view text) {
  Words found;
  for (const ByteRange& range : SplitPattern(pattern).find_all(text)) {
    found.emplace_back(text.substr(range.begin, range.end - range.begin));
  }
  return found;
}

std::string error_of_pattern(const std::string& pattern) {
  return error_of([&] { SplitPattern{pattern}; });
}

}  // namespace

TEST_CASE("split pattern: GPT-2's") {
  CHECK(words(kGpt2Pattern, "I'll go  on,don't 12345!") ==
        Words{"I", "'ll", " go", " ", " on", ",", "don", "'t", " 12345", "!"});
  CHECK(words(kGpt2Pattern, "I'LL") == Words{"I", "'", "LL"});
  CHECK(words(kGpt2Pattern, "a \n\n b") == Words{"a", " \n\n", " b"});
}

TEST_CASE("split pattern: LLaMA-3's") {
  CHECK(words(kLlama3Pattern, "I'LL go  on,don't 12345!\n\n x") ==
        Words{"I", "'LL", " go", " ", " on", ",don", "'t", " ", "123", "45", "!\n\n", " x"});
  CHECK(words(kLlama3Pattern, "a \n\n b  ") == Words{"a", " \n\n", " b", "  "});
  CHECK(words(kLlama3Pattern, "x'\u017F") == Words{"x", "'\u017F"});  // long s is an s
  CHECK(words(kLlama3Pattern, "").empty());
}

TEST_CASE("split pattern: ranges are in bytes, also behind characters of other sizes") {
  CHECK(words("\\p{L}+", "1\u00E9a \U0001F600\u4E2D\u6587 \U00010400x") ==
        Words{"\u00E9a", "\u4E2D\u6587", "\U00010400x"});
}

TEST_CASE("split pattern: white space is Unicode's") {
  for (const std::string space : {"\v", "\u0085", "\u00A0", "\u2028", "\u3000"}) {
    CHECK(words("\\s", "a" + space + "b") == Words{space});
    CHECK(words("\\S+", "a" + space + "b") == Words{"a", "b"});
    CHECK(words("[^\\s]+", "a" + space + "b") == Words{"a", "b"});
  }
  CHECK(words("\\s", "\u200B\u180E\uFEFF\x1C").empty());
}

TEST_CASE("split pattern: each part of the language") {
  CHECK(words("a\\.?|b", "a.ab") == Words{"a.", "a", "b"});
  CHECK(words("(?:ab)?c", "abcc") == Words{"abc", "c"});
  CHECK(words("(ab)?c", "abcc") == Words{"abc", "c"});
  CHECK(words("a(?=b)", "abac") == Words{"a"});
  CHECK(words("a(?!b)", "abac") == Words{"a"});
  CHECK(words("a*+b|a", "aab") == Words{"aab"});
  CHECK(words("a++a|b", "aab") == Words{"b"});  // possessive: no way back
  CHECK(words("a{2}", "aaaaa") == Words{"aa", "aa"});
  CHECK(words("a{2,}", "aaaaa") == Words{"aaaaa"});
  CHECK(words("a{1,3}", "aaaaa") == Words{"aaa", "aa"});
  CHECK(words("[a-c\\]\\d&-]+", "xab]3&-x") == Words{"ab]3&-"});
  CHECK(words("[-a]+", "b-a") == Words{"-a"});
  CHECK(words("[\u4E00-\u9FFF]+", "a\u4E2D\u6587b") == Words{"\u4E2D\u6587"});
  CHECK(words("\\P{Lu}+|\\D", "abC1") == Words{"ab", "C", "1"});
  CHECK(words("\\r\\n|\\t|\\f|\\/| |#", "\r\n\t\f/ #") == Words{"\r\n", "\t", "\f", "/", " ", "#"});
  CHECK(words("(?i:ab)c", "aBc aBC") == Words{"aBc"});
}

TEST_CASE("split pattern: what the libraries read differently is refused with its place") {
  const std::pair<const char*, const char*> refused[] = {
      {"a\\w", "an escape at byte 3"},
      {"\\bx", "an escape"},
      {"x\\", "a '\\' at its end"},
      {"\\p{Han}", "no general category"},
      {"\\p{L N}", "no general category"},
      {"\\pL", "\\p without {..}"},
      {"\\p{L", "\\p without {..}"},
      {"^a", "'^'"},
      {"a$", "'$'"},
      {"a.b", "'.'"},
      {"*a", "'*'"},
      {"a|+", "'+'"},
      {"a+?", "lazy"},
      {"a{1,3}+", "repetition of a repetition"},
      {"a**", "repetition of a repetition"},
      {"(?:a)+", "a repeated group"},
      {"(a)*", "a repeated group"},
      {"(?<=a)b", "a kind of group"},
      {"(?<!a)b", "a kind of group"},
      {"(?P<x>a)", "a kind of group"},
      {"(?i)a", "a kind of group"},
      {"(?i:\u00E9)", "beyond ASCII where case is ignored"},
      {"(?i:[ab])", "a set where case is ignored"},
      {"(?i:\\s)", "an escape where case is ignored"},
      {"(ab", "not closed"},
      {"ab)", "closes nothing"},
      {"[ab", "not closed"},
      {"[]ab]", "an empty set"},
      {"[a[b]]", "a set in a set"},
      {"[a&&b]", "a set in a set"},
      {"[a--b]", "a range to no character"},
      {"[+.--]", "a range to no character"},
      {"[+-\\d]", "a range to no character"},
      {"[z-a]", "ends are swapped"},
      {"[\\d-z]", "a '-' between"},
      {"a{,3}", "a number of repetitions"},
      {"a{9999}", "a number of repetitions"},
      {"a{3,1}", "limits are swapped"},
      {"a{1", "not closed"},
      {"\xFF", "no character"},
      {"[a-\xFF]", "no character"},
      {"[a-", "not closed"},
  };
  for (const auto& [pattern, what] : refused) {
    CAPTURE(pattern);
    const std::string message = error_of_pattern(pattern);
    CAPTURE(message);
    CHECK(contains(message, what));
    CHECK(contains(message, "not implemented"));
    CHECK(contains(message, pattern));
  }
}

TEST_CASE("split pattern: one that can match nothing is refused") {
  for (const std::string pattern : {"", "a*", "a|", "(?!a)", "(?=a)", "a?b{0,2}", "(?:a|b?)"}) {
    CHECK(contains(error_of_pattern(pattern), "a way to match no character"));
  }
}

TEST_CASE("split pattern: groups in one another end somewhere") {
  const std::string deep(100000, '(');
  CHECK(contains(error_of_pattern(deep), "too many groups in one another"));
}

TEST_CASE("split pattern: any bytes are a pattern or an error") {
  const std::string pattern(kLlama3Pattern);
  for (size_t at = 0; at < pattern.size(); ++at) {
    for (const char c : {'\\', '(', '[', '{', '*', '-', '\xFF', '\0'}) {
      std::string changed = pattern;
      changed[at] = c;
      CHECK_NOTHROW(error_of_pattern(changed));
    }
    CHECK_NOTHROW(error_of_pattern(pattern.substr(0, at)));
  }
}

TEST_CASE("split pattern: one that takes too long on a text is an error") {
  CHECK(contains(error_of([] { words("a*a*a*a*a*a*a*a*b", std::string(2000, 'a')); }),
                 "on a text of 2000 bytes: U_REGEX_TIME_OUT"));
}

TEST_CASE("split pattern: long texts take time in proportion") {
  const std::string letters(1 << 20, 'a');
  CHECK(words(kLlama3Pattern, letters).size() == 1);
  CHECK(words(kLlama3Pattern, std::string(1 << 20, ' ')).size() == 1);
  CHECK(words(kLlama3Pattern, std::string(3 << 18, '7')).size() == 1 << 18);
}
