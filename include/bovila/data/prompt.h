// The two prompts of BoViLA as token ids with their label positions (SPEC 3, golden tokens-*.json).
// Fed by data/sample.h and text/tokenizer.h; feeds data/dataset.h.
//
//   VQA  video and question given, the answer is scored
//   VAQ  video and answer given, the question is scored
//   QAV  question and answer given, the order of the video's frames is scored
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bovila/config/config.h"
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

struct PromptLength {
  int64_t tokens = 0;
  bool is_cut = false;  ///< its dialogue
};

/// Builds prompts for one tokenizer. Pure and thread-safe; the tokenizer must outlive it.
class PromptBuilder {
 public:
  PromptBuilder(const Tokenizer& tokenizer, int64_t max_feats, int64_t max_seq_len)
      : tokenizer_(tokenizer), max_feats_(max_feats), max_seq_len_(max_seq_len) {}
  PromptBuilder(const Tokenizer& tokenizer, const Config& config);

  /// "... Answer: The answer is (X)" with X the letter of `option`. A dialogue's tail is cut until
  /// the prompt fits max_seq_len; without one the prompt may come out longer (SPEC D6): the caller
  /// compares size() with max_seq_len.
  Prompt vqa(const Sample& sample, int option) const;
  /// "... The answer is (X)\nQuestion: ..." with X the right answer.
  /// @throws ProgramError when the sample hides its answer.
  Prompt vaq(const Sample& sample) const;
  /// "... The answer is (X)\nVideo:", then the video's slots and <eos>, which are the labels.
  /// @throws ProgramError when the sample hides its answer.
  Prompt qav(const Sample& sample) const;
  /// Whether the deck trains on QAV prompts.
  bool with_qav() const { return with_qav_; }

  /// The longest of the prompts that training makes of a question, VQA's alone where the answer is
  /// hidden, and whether one of them was cut.
  PromptLength measure(const Sample& sample) const;

 private:
  /// `rest` is what follows the dialogue.
  Prompt assemble(const Sample& sample, const std::string& instruction, const Encoding& rest) const;
  /// Adds the dialogue, of which as much is cut as `others`, the tokens of the rest, leave no room
  /// for.
  void append_dialogue(const Sample& sample, int64_t others, Prompt& prompt) const;

  const Tokenizer& tokenizer_;
  int64_t max_feats_;
  int64_t max_seq_len_;
  PromptConfig instructions_;
  bool with_qav_ = false;
};

}  // namespace bovila
