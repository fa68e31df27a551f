// Byte-pair encoding of one word: its symbols (bytes, or characters) are joined two by two, the
// pair of lowest rank first and of those the leftmost, until no pair has a rank.
// Fed by the readers of tiktoken.cpp and tokenizer_json.cpp; used by BpeTokenizer.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace bovila {

/// One token of a word and the byte of the word where it begins.
struct BpeToken {
  int32_t id = 0;
  size_t begin = 0;
};

/// What a character is that has no token of its own.
enum class UnknownCharacter {
  kDropped,    // nothing: what the library does without unk_token
  kToken,      // one unknown token each
  kOneToken,   // one unknown token for all that follow one another (fuse_unk)
  kByteTokens  // a token <0xNN> for each byte (byte_fallback)
};

struct BpeOptions {
  bool by_byte = true;            // symbols are bytes, else characters
  bool whole_words_first = true;  // a word that is a token is not merged (ignore_merges)
  UnknownCharacter unknown = UnknownCharacter::kDropped;
  int32_t unknown_id = -1;  // kToken, kOneToken
};

/// What joins a pair of tokens: the lower the rank, the earlier.
struct BpeMerge {
  int32_t rank = 0;
  int32_t joined = 0;
};

class Bpe {
 public:
  /// Adds a token; false when its bytes were added before.
  bool add(std::string_view bytes, int32_t id);
  std::optional<int32_t> find(std::string_view bytes) const;
  size_t size() const { return ids_.size(); }

  /// The later of two merges of one pair counts.
  void add_merge(int32_t left, int32_t right, BpeMerge merge);
  /// Null when the pair is never joined.
  const BpeMerge* find_merge(int32_t left, int32_t right) const;
  void set_options(const BpeOptions& options) { options_ = options; }

  /// Appends the tokens of one word. Takes O(n log n).
  void encode(std::string_view word, std::vector<BpeToken>& tokens) const;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::vector<BpeToken> symbols(std::string_view word) const;
  void add_unknown(std::string_view character, size_t at, bool follows,
                   std::vector<BpeToken>& symbols) const;

  std::unordered_map<std::string, int32_t, Hash, std::equal_to<>> ids_;
  std::unordered_map<uint64_t, BpeMerge> merges_;
  BpeOptions options_;
};

/// "<0x0A>" for 10: how a vocabulary of characters names the token of a byte.
std::string byte_token(unsigned char byte);

}  // namespace bovila
