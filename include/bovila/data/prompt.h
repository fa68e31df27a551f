// The two prompts of BoViLA as token ids with their label positions (SPEC 3, golden tokens-*.json).
// Fed by data/sample.h and text/tokenizer.h; feeds data/dataset.h.
//
//   VQA  video and question given, the answer is scored
//   VAQ  video and answer given, the question is scored
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bovila/data/sample.h"
#include "bovila/text/tokenizer.h"

namespace bovila {

struct Prompt {
  std::vector<int32_t> tokens;  ///< <bos> ... <eos>; video slots hold 0
  int64_t video_start = 0;      ///< position of the first video slot
  int64_t label_start = 0;      ///< labels are tokens[label_start ..], <eos> included
  int64_t question_start = 0;   ///< VQA: position of the first question token
  int64_t question_len = 0;     ///< VQA: question tokens, with `?` and the newline
  int64_t num_cut_tokens = 0;   ///< dialogue tokens cut to fit max_seq_len

  int64_t size() const { return static_cast<int64_t>(tokens.size()); }
};

/// Builds prompts for one tokenizer. Pure and thread-safe; the tokenizer must outlive it.
class PromptBuilder {
 public:
  PromptBuilder(const Tokenizer& tokenizer, int64_t max_feats, int64_t max_seq_len)
      : tokenizer_(tokenizer), max_feats_(max_feats), max_seq_len_(max_seq_len) {}

  /// "... Answer: The answer is (X)" with X the letter of `option`. A dialogue's tail is cut until
  /// the prompt fits max_seq_len; without one the prompt may come out longer (SPEC D6): the caller
  /// compares size() with max_seq_len.
  Prompt vqa(const Sample& sample, int option) const;
  /// "... The answer is (X)\nQuestion: ..." with X the right answer.
  /// @throws ProgramError when the sample hides its answer.
  Prompt vaq(const Sample& sample) const;

 private:
  /// `rest` is what follows the dialogue.
  Prompt assemble(const Sample& sample, const std::string& instruction, const Encoding& rest) const;

  const Tokenizer& tokenizer_;
  int64_t max_feats_;
  int64_t max_seq_len_;
};

}  // namespace bovila
