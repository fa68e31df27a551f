// A BPE tokenizer put together from the steps that its file names: added tokens, normalizers,
// splitters, then BPE in each word.
// Fed by the readers of tiktoken.cpp and tokenizer_json.cpp, which make BpeParts; it is what
// load_tokenizer() gives.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bovila/text/tokenizer.h"
#include "src/text/aligned_text.h"
#include "src/text/bpe.h"
#include "src/text/split_pattern.h"

namespace bovila {

using Normalizer = std::function<AlignedText(const AlignedText&)>;
/// Cuts one part of a text into smaller ones and may leave out what lies between.
using Splitter = std::function<std::vector<AlignedText>(const AlignedText&)>;

/// A token that is searched for in the text itself, before BPE.
struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool special = false;     // its content stays text where a text holds it
  bool normalized = false;  // searched for after the normalizers, else before
};

struct BpeParts {
  std::vector<AddedToken> added;
  std::vector<Normalizer> normalizers;
  std::vector<Splitter> splitters;
  Bpe bpe;
  int64_t num_unused_at_end = 0;   // special tokens with the largest ids, which no merge gives
  std::vector<std::string> bytes;  // of the token with that id; none for special ones
  bool drops_first_space = false;  // decoding: the space that a normalizer put there
  int32_t bos = -1;
  int32_t eos = -1;
  int32_t newline = -1;
};

enum class Between { kKept, kDropped };

/// Each match of the pattern is a part; what lies between matches is one or is dropped.
Splitter split_by(SplitPattern pattern, Between between);

/// @throws ProgramError unless bos, eos and newline are ids of `parts.bytes`.
std::unique_ptr<Tokenizer> make_bpe_tokenizer(BpeParts parts);

}  // namespace bovila
