// Text to token ids, with the bytes that each token stands for.
// Fed by the tokenizer's file; feeds data/prompt.h, which finds label positions by byte, not by id
// (SPEC D5), so prompts do not depend on a particular vocabulary.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace bovila {

/// Tokens of one text. Token i stands for bytes [begin[i], begin[i + 1]) of it; begin.back() is the
/// text's size. A token that stands for no byte (a dummy prefix alone) has an empty range.
struct Encoding {
  std::vector<int32_t> ids;
  std::vector<int64_t> begin;  // ids.size() + 1 entries

  /// Index of the first token that holds byte `offset` or a later one.
  int64_t token_at(int64_t offset) const;
};

/// Thread-safe after construction.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual Encoding encode(std::string_view text) const = 0;
  virtual std::string decode(const std::vector<int32_t>& ids) const = 0;
  virtual int64_t vocab_size() const = 0;
  virtual int32_t bos() const = 0;
  virtual int32_t eos() const = 0;
  /// The single token of a line feed, which stands between the video slots and the text (SPEC 3).
  virtual int32_t newline() const = 0;
};

/// Loads a tokenizer file. @throws UserError naming the file when it is missing or is none.
std::unique_ptr<Tokenizer> load_tokenizer(const std::string& path);

}  // namespace bovila
