// Merging: the lowest rank first, the leftmost of equal ones.
#include "src/text/bpe.h"

#include "bovila/core/error.h"
#include "tests/unit/temp_folder.h"

using namespace bovila;

namespace {

/// Tokens with ids in the order given.
Bpe vocabulary(const std::vector<std::string>& tokens) {
  Bpe bpe;
  for (const std::string& token : tokens) bpe.add(token, static_cast<int32_t>(bpe.size()));
  return bpe;
}

void merge(Bpe& bpe, const std::string& left, const std::string& right, int32_t rank) {
  bpe.add_merge(*bpe.find(left), *bpe.find(right), {rank, *bpe.find(left + right)});
}

std::vector<int32_t> ids(const Bpe& bpe, std::string_view word) {
  std::vector<BpeToken> tokens;
  bpe.encode(word, tokens);
  std::vector<int32_t> ids;
  for (const BpeToken& token : tokens) ids.push_back(token.id);
  return ids;
}

std::vector<size_t> begins(const Bpe& bpe, std::string_view word) {
  std::vector<BpeToken> tokens;
  bpe.encode(word, tokens);
  std::vector<size_t> begins;
  for (const BpeToken& token : tokens) begins.push_back(token.begin);
  return begins;
}

using Ids = std::vector<int32_t>;
using Begins = std::vector<size_t>;

}  // namespace

TEST_CASE("bpe: the lowest rank is merged first, wherever it is") {
  Bpe bpe = vocabulary({"a", "b", "c", "ab", "bc", "abc"});
  merge(bpe, "b", "c", 0);
  merge(bpe, "a", "b", 1);
  bpe.set_options({.whole_words_first = false});
  CHECK(ids(bpe, "abc") == Ids{0, 4});  // a, bc
  merge(bpe, "a", "bc", 2);
  CHECK(ids(bpe, "abc") == Ids{5});
  CHECK(ids(bpe, "abab") == Ids{3, 3});
  CHECK(begins(bpe, "ababc") == Begins{0, 2});
}

TEST_CASE("bpe: of equal ranks the leftmost is merged first") {
  Bpe bpe = vocabulary({"a", "aa", "aaaa"});
  merge(bpe, "a", "a", 0);
  merge(bpe, "aa", "aa", 1);
  bpe.set_options({.whole_words_first = false});
  CHECK(ids(bpe, "aaa") == Ids{1, 0});
  CHECK(ids(bpe, "aaaaaaa") == Ids{2, 1, 0});
  CHECK(begins(bpe, "aaaaaaa") == Begins{0, 4, 6});
}

TEST_CASE("bpe: a word that is a token is taken whole where that is asked for") {
  Bpe bpe = vocabulary({"a", "b", "ab"});
  CHECK(ids(bpe, "ab") == Ids{2});
  bpe.set_options({.whole_words_first = false});
  CHECK(ids(bpe, "ab") == Ids{0, 1});
  CHECK(ids(bpe, "").empty());
}

TEST_CASE("bpe: the first token of some bytes and the last merge of a pair count") {
  Bpe bpe = vocabulary({"a", "b", "c", "ab", "bc"});
  CHECK(!bpe.add("ab", 77));
  CHECK(bpe.find("ab") == 3);
  CHECK(!bpe.find("abc"));
  merge(bpe, "a", "b", 0);
  merge(bpe, "b", "c", 1);
  merge(bpe, "a", "b", 2);
  CHECK(ids(bpe, "abc") == Ids{0, 4});
}

TEST_CASE("bpe: what has no token") {
  const std::string text = "x\u4E2D\u6587x";
  Bpe bpe = vocabulary({"<unk>", "x"});
  bpe.set_options({.by_byte = false});
  CHECK(ids(bpe, text) == Ids{1, 1});
  bpe.set_options({.by_byte = false, .unknown = UnknownCharacter::kToken, .unknown_id = 0});
  CHECK(ids(bpe, text) == Ids{1, 0, 0, 1});
  CHECK(begins(bpe, text) == Begins{0, 1, 4, 7});
  bpe.set_options({.by_byte = false, .unknown = UnknownCharacter::kOneToken, .unknown_id = 0});
  CHECK(ids(bpe, text) == Ids{1, 0, 1});
  CHECK(begins(bpe, text) == Begins{0, 1, 7});
}

TEST_CASE("bpe: byte tokens stand for the bytes of a character") {
  Bpe bpe;
  for (int byte = 0; byte < 256; ++byte)
    bpe.add(byte_token(static_cast<unsigned char>(byte)), byte);
  CHECK(bpe.find("<0x0A>") == 10);
  bpe.set_options({.by_byte = false, .unknown = UnknownCharacter::kByteTokens});
  CHECK(ids(bpe, "\n\u00E9") == Ids{0x0A, 0xC3, 0xA9});
  CHECK(begins(bpe, "\n\u00E9") == Begins{0, 1, 2});
}

TEST_CASE("bpe: a vocabulary without byte tokens cannot fall back to them") {
  Bpe bpe;
  bpe.set_options({.by_byte = false, .unknown = UnknownCharacter::kByteTokens});
  CHECK_THROWS_AS(ids(bpe, "a"), ProgramError);
}

TEST_CASE("bpe: a long word is merged as a short one") {
  Bpe bpe = vocabulary({"a", "aa", "aaaa"});
  merge(bpe, "a", "a", 0);
  merge(bpe, "aa", "aa", 1);
  CHECK(ids(bpe, std::string(1 << 20, 'a')) == Ids(1 << 18, 2));
}
