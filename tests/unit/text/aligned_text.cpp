// Normalized texts know where their bytes come from.
#include "src/text/aligned_text.h"

#include <algorithm>

#include "tests/unit/temp_folder.h"

using namespace bovila;

namespace {

using Origin = std::vector<int64_t>;

void check_form(const AlignedText& text, int64_t end) {
  REQUIRE(text.origin.size() == text.text.size() + 1);
  CHECK(text.origin.back() == end);
  CHECK(std::ranges::is_sorted(text.origin));
}

}  // namespace

TEST_CASE("aligned text: valid text is itself") {
  const AlignedText text = align("a\u00E9");
  CHECK(text.text == "a\u00E9");
  CHECK(text.origin == Origin{0, 1, 2, 3});
  CHECK(align("").origin == Origin{0});
  CHECK(align(std::string_view("a\0b", 3)).text == std::string_view("a\0b", 3));
}

TEST_CASE("aligned text: ill-formed parts become U+FFFD and keep their place") {
  const AlignedText text = align("a\xFFz\xE2\x82");
  CHECK(text.text == "a\uFFFDz\uFFFD");
  CHECK(text.origin == Origin{0, 1, 2, 2, 2, 3, 4, 5, 5});
  check_form(align("\xED\xA0\x80\xC0\x80\xF4\x90\x80\x80"), 9);
}

TEST_CASE("aligned text: what is replaced stands for what it replaces") {
  const AlignedText longer = replace_all(align("a b "), " ", "\u2581");
  CHECK(longer.text == "a\u2581b\u2581");
  CHECK(longer.origin == Origin{0, 1, 2, 2, 2, 3, 4, 4, 4});
  const AlignedText shorter = replace_all(align("xaaay"), "aaa", "-");
  CHECK(shorter.text == "x-y");
  CHECK(shorter.origin == Origin{0, 1, 4, 5});
  const AlignedText removed = replace_all(align("aba"), "a", "");
  CHECK(removed.text == "b");
  CHECK(removed.origin == Origin{1, 3});
  CHECK(replace_all(align("aaa"), "aa", "b").text == "ba");
}

TEST_CASE("aligned text: a prefix stands for nothing") {
  AlignedText text = align("xyz").slice(1, 3);
  CHECK(text.origin == Origin{1, 2, 3});
  text.prepend("--");
  CHECK(text.text == "--yz");
  CHECK(text.origin == Origin{1, 1, 1, 2, 3});
}

TEST_CASE("aligned text: Unicode's forms") {
  const AlignedText text = align("ae\u0301\u0323x\u00E9\uFB01");
  const AlignedText composed = UnicodeNormalizer(UnicodeForm::kNfc)(text);
  CHECK(composed.text == "a\u1EB9\u0301x\u00E9\uFB01");
  check_form(composed, 12);
  CHECK(composed.origin[1] == 1);  // the whole cluster begins where e does
  CHECK(composed.origin[6] == 6);  // and x is where it was
  CHECK(UnicodeNormalizer(UnicodeForm::kNfd)(text).text == "ae\u0323\u0301xe\u0301\uFB01");
  CHECK(UnicodeNormalizer(UnicodeForm::kNfkc)(text).text == "a\u1EB9\u0301x\u00E9fi");
  CHECK(UnicodeNormalizer(UnicodeForm::kNfkd)(text).text == "ae\u0323\u0301xe\u0301fi");
  check_form(UnicodeNormalizer(UnicodeForm::kNfkd)(text), 12);
}

TEST_CASE("aligned text: Hangul is put together across characters") {
  const AlignedText text = align("\u1112\u1161\u11AB");
  const AlignedText composed = UnicodeNormalizer(UnicodeForm::kNfc)(text);
  CHECK(composed.text == "\uD55C");
  check_form(composed, 9);
}

TEST_CASE("aligned text: characters younger than Unicode 9 stay") {
  const UnicodeNormalizer nfkc(UnicodeForm::kNfkc);
  CHECK(nfkc(align("\u32FE")).text == "\u30F2");  // circled wo: Unicode 1
  CHECK(nfkc(align("\u32FF")).text == "\u32FF");  // the era Reiwa: Unicode 12
}

TEST_CASE("aligned text: empty text stays empty") {
  CHECK(UnicodeNormalizer(UnicodeForm::kNfc)(align("")).origin == Origin{0});
  CHECK(replace_all(align(""), "a", "b").origin == Origin{0});
}
