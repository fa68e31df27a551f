// LLaMA-3's tiktoken file: ranks are ids and merges; files that are none.
#include <fmt/format.h>

#include "bovila/text/tokenizer.h"
#include "tests/unit/temp_folder.h"

using namespace bovila;
using testing::contains;
using testing::error_of;
using testing::TempFolder;

namespace {

constexpr size_t kRanks = 128000;

std::string base64(std::string_view bytes) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    uint32_t bits = 0;
    for (size_t i = 0; i < 3; ++i) {
      const char byte = at + i < bytes.size() ? bytes[at + i] : '\0';
      bits = bits << 8 | static_cast<unsigned char>(byte);
    }
    for (size_t i = 0; i < 4; ++i) {
      text += at + i <= bytes.size() ? kLetters[bits >> (18 - 6 * i) & 63] : '=';
    }
  }
  return text;
}

/// All bytes, these tokens from rank 256 on, and after them ones that no text holds.
std::vector<std::string> rank_lines(const std::vector<std::string>& tokens) {
  std::vector<std::string> lines;
  const auto add = [&](std::string_view token) {
    lines.push_back(fmt::format("{} {}\n", base64(token), lines.size()));
  };
  for (int byte = 0; byte < 256; ++byte) add(std::string(1, static_cast<char>(byte)));
  for (const std::string& token : tokens) add(token);
  while (lines.size() < kRanks) add(fmt::format("\xFF{:06}", lines.size()));
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

const std::vector<std::string> kTokens = {"th", "he", "the", " t", " the", "12", "123", "23"};

std::unique_ptr<Tokenizer> load(std::string_view bytes) {
  const TempFolder folder;
  return load_tokenizer(folder.write("tokenizer.model", bytes));
}

std::string error_of_bytes(std::string_view bytes) {
  const TempFolder folder;
  const std::string path = folder.write("tokenizer.model", bytes);
  const std::string message = error_of([&] { load_tokenizer(path); });
  CHECK((message.empty() || contains(message, path)));
  return message;
}

/// The error of a file in which one line (its number from 1) is another.
std::string error_with_line(size_t number, const std::string& line) {
  auto lines = rank_lines(kTokens);
  lines[number - 1] = line;
  return error_of_bytes(joined(lines));
}

using TiktokenIds = std::vector<int32_t>;

}  // namespace

TEST_CASE("tiktoken: special tokens stand behind the ranks") {
  const auto tokenizer = load(joined(rank_lines(kTokens)));
  CHECK(tokenizer->vocab_size() == 128256);
  CHECK(tokenizer->bos() == 128000);
  CHECK(tokenizer->eos() == 128001);
  CHECK(tokenizer->newline() == 10);
  CHECK(tokenizer->decode({128000, 't', 128001, 128255}) == "t");
  CHECK_THROWS_AS(tokenizer->decode({128256}), ProgramError);
  CHECK_THROWS_AS(tokenizer->decode({-1}), ProgramError);
}

TEST_CASE("tiktoken: bytes are joined by rank inside of words") {
  const auto tokenizer = load(joined(rank_lines(kTokens)));
  const Encoding encoding = tokenizer->encode("the thx the1234");
  CHECK(encoding.ids == TiktokenIds{258, ' ', 256, 'x', 260, 262, '4'});
  CHECK(encoding.begin == std::vector<int64_t>{0, 3, 4, 6, 7, 11, 14, 15});
  CHECK(tokenizer->decode(encoding.ids) == "the thx the1234");
}

TEST_CASE("tiktoken: a special token's name in a text is text") {
  const auto tokenizer = load(joined(rank_lines(kTokens)));
  const std::string text = "<|begin_of_text|>";
  const Encoding encoding = tokenizer->encode(text);
  CHECK(encoding.ids.size() == text.size());
  CHECK(tokenizer->decode(encoding.ids) == text);
}

TEST_CASE("tiktoken: a token may be part of a character") {
  const auto tokenizer = load(joined(rank_lines({"\xE4\xB8", "\u4E2D", "\xE6\x96"})));
  const Encoding encoding = tokenizer->encode("\u4E2D\u6587");
  CHECK(encoding.ids == TiktokenIds{257, 258, 0x87});
  CHECK(encoding.begin == std::vector<int64_t>{0, 3, 5, 6});
  CHECK(tokenizer->decode({258}) == "\uFFFD");
}

TEST_CASE("tiktoken: empty text, NUL and bytes that are not UTF-8") {
  const auto tokenizer = load(joined(rank_lines(kTokens)));
  CHECK(tokenizer->encode("").ids.empty());
  CHECK(tokenizer->encode("").begin == std::vector<int64_t>{0});
  CHECK(tokenizer->encode(std::string_view("a\0b", 3)).ids == TiktokenIds{'a', 0, 'b'});
  const Encoding encoding = tokenizer->encode("a\xFF.");
  CHECK(encoding.ids == tokenizer->encode("a\uFFFD.").ids);
  CHECK(encoding.begin == std::vector<int64_t>{0, 1, 2, 2, 2, 3});
}

TEST_CASE("tiktoken: lines may end as on Windows") {
  auto lines = rank_lines(kTokens);
  for (std::string& line : lines) {
    line.pop_back();
    line += "\r\n";
  }
  CHECK(load(joined(lines))->encode("the").ids == TiktokenIds{258});
}

TEST_CASE("tiktoken: another number of ranks is another model's or cut") {
  auto lines = rank_lines(kTokens);
  lines.pop_back();
  CHECK(contains(error_of_bytes(joined(lines)), "has 127999 ranks, expected LLaMA-3's 128000"));
  lines = rank_lines(kTokens);
  lines.push_back(fmt::format("{} 128000\n", base64("more")));
  CHECK(contains(error_of_bytes(joined(lines)), "has 128001 ranks"));
  CHECK(contains(error_of_bytes("IQ== 0\nIg== 1\n"), "has 2 ranks"));
}

TEST_CASE("tiktoken: a damaged line is an error with its number") {
  const std::string expected = "line 300: expected a token in base64 and the rank 299";
  const std::string token = base64("xyz");
  for (const std::string& line :
       {token + " 300\n", token + " \n", token + " 299x\n", token + " -1\n", token + "\n",
        token + " 99999999999999999999\n", std::string("\n"), std::string(" 299\n"),
        std::string("*?*? 299\n"), std::string("eHl 299\n"), std::string("e=l6 299\n"),
        std::string("==== 299\n"), std::string("eHl6\xFF 299\n"),
        fmt::format("{} 299\n", base64(std::string(300, 'x')))}) {
    CAPTURE(line);
    CHECK(contains(error_with_line(300, line), expected));
  }
  CHECK(contains(error_with_line(300, "eHl6\xFF 1\n"), "got \"eHl6\uFFFD 1\""));
}

TEST_CASE("tiktoken: a token twice and a byte without one are errors") {
  CHECK(contains(error_with_line(300, fmt::format("{} 299\n", base64("the"))),
                 "line 300: this token has an earlier rank too"));
  CHECK(contains(error_with_line(11, fmt::format("{} 10\n", base64("xyz"))),
                 "no token for the byte 0x0A"));
}
