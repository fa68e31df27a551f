// Text to token ids, with the bytes that each token stands for.
// Fed by the tokenizer's file, in any form that LLaMA models come with; feeds data/prompt.h, which
// finds label positions by byte, not by id (SPEC D5), so prompts do not depend on a vocabulary.
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
  /// The text alone, without begin and end tokens. Its words never become special tokens, whatever
  /// they spell. Any bytes are taken: those that are not UTF-8 count as U+FFFD.
  virtual Encoding encode(std::string_view text) const = 0;
  /// The text of tokens, in valid UTF-8; special tokens have none.
  /// @throws ProgramError when an id is not below vocab_size().
  virtual std::string decode(const std::vector<int32_t>& ids) const = 0;
  /// The largest id + 1. A model's embedding may have more rows.
  virtual int64_t vocab_size() const = 0;
  /// The largest id that a prompt can hold, + 1: special tokens behind it, as one to pad texts
  /// with, come from no text. A model needs no rows for them.
  virtual int64_t prompt_vocab_size() const { return vocab_size(); }
  /// What stands before a text. A model without a begin token learned texts that are parted by
  /// their end token: that one stands there then.
  virtual int32_t bos() const = 0;
  virtual int32_t eos() const = 0;
  /// The single token of a line feed, which stands between the video slots and the text (SPEC 3).
  virtual int32_t newline() const = 0;
};

/// Loads a tokenizer file. Its form is known by its content:
///   - SentencePiece model (LLaMA-1 and -2: tokenizer.model);
///   - tiktoken ranks, a line "BASE64 RANK" each (LLaMA-3: tokenizer.model);
///   - Hugging Face tokenizer.json with a BPE model, by bytes (LLaMA-3, SmolLM2) or by characters
///     with byte fallback (LLaMA-2). Begin and end tokens are those of tokenizer_config.json beside
///     it, else of its post-processor, else tokens with the usual names.
/// @throws UserError naming the file when it is missing or is none, and naming the part of a file
/// that is not implemented.
std::unique_ptr<Tokenizer> load_tokenizer(const std::string& path);

/// The tokenizer in a model's folder: tokenizer.model, else tokenizer.json, else "".
std::string find_tokenizer_file(const std::string& folder);

}  // namespace bovila
