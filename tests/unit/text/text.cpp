// Python's text rules, compared over all of Unicode with what Python 3.11 (Unicode 14) returned.
#include "bovila/text/text.h"
#include "bovila/core/utf8.h"

#include <doctest/doctest.h>
#include <unicode/uchar.h>

#include <cmath>
#include <map>

using namespace bovila;

namespace {

constexpr uint64_t kFnvStart = 0xcbf29ce484222325ULL;
constexpr UChar32 kBlock = 0x2000;

// FNV-1a over Python's answers, by block of code points: for each assigned character c of Unicode
// 14 (no surrogates, no private use) capitalize() of c, "a"+c+"b", c+S, "a"+S+c, "a"+S+c+"b" and
// "a"+c+S with S the capital sigma, then strip() and rstrip() of c+"x"+c; each with a line feed.
const std::map<UChar32, uint64_t> kPythonHashes = {
    {0x0, 0x1A55AD977E5021B9ULL},     {0x2000, 0x0D3637EAECDEFA97ULL},
    {0x4000, 0x562B227C0C5B9925ULL},  {0x6000, 0xEA69796783979325ULL},
    {0x8000, 0x2E1CC45E9B7C4525ULL},  {0xA000, 0x70F4E15347A44109ULL},
    {0xC000, 0xC90304FF4AEEAAFDULL},  {0xE000, 0x9DCB5615A5FBD5EBULL},
    {0x10000, 0xBBDEAE69957ADD49ULL}, {0x12000, 0xC4A745A3D58C70BBULL},
    {0x14000, 0xBD5D5640060EB773ULL}, {0x16000, 0xF8B42B1213875487ULL},
    {0x18000, 0x9E8F8A46D5286C21ULL}, {0x1A000, 0x569A367C79115137ULL},
    {0x1C000, 0xB14FA05337E21291ULL}, {0x1E000, 0x4A5EA0BF04B05C69ULL},
    {0x20000, 0x8DD67046927EED25ULL}, {0x22000, 0xD1686CAD05ACE325ULL},
    {0x24000, 0x9985D09F700F1925ULL}, {0x26000, 0x87387B38BDD3DF25ULL},
    {0x28000, 0xFB3B19DEFCC59125ULL}, {0x2A000, 0xC0E7D6646E28B833ULL},
    {0x2C000, 0x6A678224A5B258E3ULL}, {0x2E000, 0xDB0CB988A0398D73ULL},
    {0x30000, 0x5DDCF9CF1E8C6FD1ULL}, {0xE0000, 0x103D1EAA2D869555ULL},
};

void hash_line(uint64_t& hash, std::string_view text) {
  for (const char c : std::string(text) + "\n") {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
}

std::string utf8(UChar32 c) {
  std::string text;
  if (c < 0x80) return {static_cast<char>(c)};
  const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  text += static_cast<char>((0xFF << (7 - more)) | (c >> (6 * more)));
  for (int i = more - 1; i >= 0; --i) text += static_cast<char>(0x80 | ((c >> (6 * i)) & 0x3F));
  return text;
}

bool is_in_table(UChar32 c) {
  UVersionInfo age;
  u_charAge(c, age);
  const int8_t type = u_charType(c);
  return type != U_UNASSIGNED && type != U_SURROGATE && type != U_PRIVATE_USE_CHAR && age[0] <= 14;
}

}  // namespace

TEST_CASE("text: capitalize and strip are Python's for every character of Unicode") {
  const std::string sigma = "\u03A3";
  std::map<UChar32, uint64_t> hashes;
  for (UChar32 code = 0; code <= UCHAR_MAX_VALUE; ++code) {
    if (!is_in_table(code)) continue;
    const std::string c = utf8(code);
    uint64_t& hash = hashes.try_emplace(code / kBlock * kBlock, kFnvStart).first->second;
    for (const std::string& text :
         {c, "a" + c + "b", c + sigma, "a" + sigma + c, "a" + sigma + c + "b", "a" + c + sigma}) {
      hash_line(hash, capitalize(text));
    }
    const std::string padded = c + "x" + c;
    hash_line(hash, strip(padded));
    hash_line(hash, strip_right(padded));
  }
  CHECK(hashes == kPythonHashes);
}

TEST_CASE("text: capitalize uses title case, full mappings and the final sigma") {
  CHECK(capitalize("") == "");
  CHECK(capitalize("wHAT DID") == "What did");
  CHECK(capitalize("\u01C6X") == "\u01C5x");            // dz with caron: title case, not upper case
  CHECK(capitalize("\u00DFA") == "Ssa");                // sharp s
  CHECK(capitalize("A\u0130") == "Ai\u0307");           // capital i with a dot
  CHECK(capitalize("\u039F\u03A3") == "\u039F\u03C2");  // sigma at the end of a word
  CHECK(capitalize("\u039F\u03A3\u0391") == "\u039F\u03C3\u03B1");
  CHECK(capitalize(" what") == " what");
}

TEST_CASE("text: bytes that are not UTF-8 become U+FFFD as in Python") {
  CHECK(to_valid_utf8("a\xFF"
                      "b") == "a\uFFFDb");
  CHECK(to_valid_utf8("\xE2\x82") == "\uFFFD");
  constexpr unsigned char kBytes[] = {0x41, 0x7f, 0x80, 0xbf, 0xc0, 0xc2, 0xe0, 0xa0, 0x9f, 0xed,
                                      0xef, 0xbb, 0xf0, 0x90, 0x8f, 0xf4, 0xf5, 0xff, 0xe2, 0xf1};
  uint64_t state = 1;
  uint64_t hash = kFnvStart;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes;
    for (int j = 0; j < i % 9; ++j) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      bytes += static_cast<char>(kBytes[(state >> 33) % std::size(kBytes)]);
    }
    hash_line(hash, to_valid_utf8(bytes));
    CHECK_NOTHROW(normalize_question(bytes));
  }
  CHECK(hash == 0x05E06BB1F6E22708ULL);  // of Python's bytes.decode("utf-8", "replace")
}

TEST_CASE("text: strip knows Python's white space and leaves other blanks") {
  CHECK(strip("\t\x1C x\u00A0y \u3000\n") == "x\u00A0y");
  CHECK(strip(" \u2003 ") == "");
  CHECK(strip("\u200Bx\u200B") == "\u200Bx\u200B");  // zero width space is no white space
  CHECK(strip_right("  x \r") == "  x");
}

TEST_CASE("text: numbers are rounded half to even") {
  CHECK(round_half_even(0.5) == 0);
  CHECK(round_half_even(1.5) == 2);
  CHECK(round_half_even(2.5) == 2);
  CHECK(round_half_even(-0.5) == 0);
  CHECK(round_half_even(-1.5) == -2);
  CHECK(round_half_even(0.49999999999999994) == 0);
  CHECK(round_half_even(std::nextafter(2.5, 3)) == 3);
  CHECK(round_half_even(4503599627370495.5) == 4503599627370496);
}

TEST_CASE("text: a question is capitalised, then stripped, then ends in a question mark") {
  CHECK(normalize_question("what did the Boy do") == "What did the boy do?");
  CHECK(normalize_question("Who is it? ") == "Who is it?");
  CHECK(normalize_question("  What") == "what?");  // the first character is a blank
  CHECK(normalize_question("") == "?");
  CHECK(normalize_question("\u00E9t\u00C9") == "\u00C9t\u00E9?");
}
