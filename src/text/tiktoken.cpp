// LLaMA-3's tiktoken file: a line "BASE64 RANK" for each of 128,000 tokens. What is not in the file
// is the model's convention (Meta's llama3 reference): the pattern that words are split by, and 256
// special tokens behind the ranks, <|begin_of_text|> and <|end_of_text|> the first two.
#include <openssl/evp.h>

#include <charconv>

#include "bovila/core/error.h"
#include "bovila/core/utf8.h"
#include "src/text/bpe_tokenizer.h"
#include "src/text/tokenizer_forms.h"

namespace bovila {
namespace {

constexpr int32_t kRanks = 128000;
constexpr int32_t kSpecials = 256;
constexpr size_t kMaxTokenBytes = 256;  // the longest one has 128

/// The bytes that base64 text stands for; "" when it is none.
std::string decode_base64(std::string_view text) {
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  if (text.size() % 4 != 0 || text.find('=') < text.size() - padding) return "";
  std::string bytes(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0) return "";
  bytes.resize(static_cast<size_t>(size) - padding);
  return bytes;
}

class RankReader {
 public:
  RankReader(const std::string& path, std::string_view bytes) : path_(path), rest_(bytes) {}

  /// The token of each rank.
  std::vector<std::string> read() {
    std::vector<std::string> tokens;
    while (!rest_.empty()) {
      std::string token = read_line(std::ssize(tokens));
      tokens.push_back(std::move(token));
    }
    if (std::ssize(tokens) != kRanks) {
      throw UserError(
          "{} has {} ranks, expected LLaMA-3's {}: it is cut, or of another model, whose texts are "
          "split in another way. Copy the file again, or use that model's tokenizer.json.",
          path_, tokens.size(), kRanks);
    }
    return tokens;
  }

 private:
  std::string read_line(int64_t expected_rank) {
    std::string_view line = rest_.substr(0, rest_.find('\n'));
    rest_.remove_prefix(std::min(line.size() + 1, rest_.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    const size_t space = std::min(line.find(' '), line.size());
    std::string token = decode_base64(line.substr(0, space));
    int64_t rank = -1;
    const char* end = line.data() + line.size();
    const char* digits = line.data() + std::min(space + 1, line.size());
    const auto parsed = std::from_chars(digits, end, rank);
    if (token.empty() || token.size() > kMaxTokenBytes || parsed.ec != std::errc() ||
        parsed.ptr != end || rank != expected_rank) {
      throw UserError("{}, line {}: expected a token in base64 and the rank {}, got \"{}\". {}",
                      path_, expected_rank + 1, expected_rank, to_valid_utf8(line.substr(0, 80)),
                      kTokenizerHint);
    }
    return token;
  }

  const std::string& path_;
  std::string_view rest_;
};

/// tiktoken joins any two tokens whose bytes together are a token, at that token's rank.
void add_merges(const std::vector<std::string>& tokens, Bpe& bpe) {
  for (size_t rank = 0; rank < tokens.size(); ++rank) {
    const std::string_view token = tokens[rank];
    for (size_t cut = 1; cut < token.size(); ++cut) {
      const auto left = bpe.find(token.substr(0, cut));
      const auto right = bpe.find(token.substr(cut));
      const auto id = static_cast<int32_t>(rank);
      if (left && right) bpe.add_merge(*left, *right, {id, id});
    }
  }
}

}  // namespace

std::unique_ptr<Tokenizer> load_tiktoken(const std::string& path, const std::string& bytes) {
  BpeParts parts;
  parts.bytes = RankReader(path, bytes).read();
  for (size_t rank = 0; rank < parts.bytes.size(); ++rank) {
    if (parts.bpe.add(parts.bytes[rank], static_cast<int32_t>(rank))) continue;
    throw UserError("{}, line {}: this token has an earlier rank too. {}", path, rank + 1,
                    kTokenizerHint);
  }
  for (int byte = 0; byte < 256; ++byte) {
    if (parts.bpe.find(std::string(1, static_cast<char>(byte)))) continue;
    throw UserError("{} has no token for the byte 0x{:02X}. {}", path, byte, kTokenizerHint);
  }
  add_merges(parts.bytes, parts.bpe);
  parts.splitters.push_back(split_by(SplitPattern(kLlama3Pattern), Between::kKept));
  parts.bytes.resize(kRanks + kSpecials);
  parts.bos = kRanks;
  parts.eos = kRanks + 1;
  parts.newline = *parts.bpe.find("\n");
  return make_bpe_tokenizer(std::move(parts));
}

}  // namespace bovila
