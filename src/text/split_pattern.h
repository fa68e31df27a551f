// Regular expressions that cut a text into words before BPE joins what is in a word.
// Fed by a tokenizer's file with patterns written for Rust's regex or Oniguruma; run by ICU.
//
// The three agree on a part of the language, and only that part is taken: characters, \r \n \t \f,
// \s \S \d \D, \p{..} of general categories, sets of these, groups, (?i: of ASCII), lookahead, and
// greedy or possessive repetition; a group may be optional but not repeated. \s is Unicode's
// White_Space.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace bovila {

/// What GPT-2's byte-level form splits by.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
/// What LLaMA-3 splits by.
inline constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// Bytes [begin, end) of a text.
struct ByteRange {
  size_t begin = 0;
  size_t end = 0;
};

/// Thread-safe after construction. Classes are those of ICU's Unicode version: with Debian 12's,
/// 15, the digits that came with version 16 (80 characters of seven scripts) are no digits.
class SplitPattern {
 public:
  /// @throws UserError quoting the pattern and the part of it that is not implemented; also when it
  /// can match nothing at all, where the libraries differ.
  explicit SplitPattern(std::string_view pattern);
  ~SplitPattern();
  SplitPattern(SplitPattern&&) noexcept;

  /// All matches, leftmost first. `text` is valid UTF-8.
  std::vector<ByteRange> find_all(std::string_view text) const;

 private:
  struct Compiled;
  std::unique_ptr<const Compiled> compiled_;
};

}  // namespace bovila
