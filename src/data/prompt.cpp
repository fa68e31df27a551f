// Every position is an offset in the text that was put together here, looked up among the tokens'
// bytes: a question may hold any words, also those of the prompt itself (SPEC D5).
#include "bovila/data/prompt.h"

#include <algorithm>
#include <string>

#include "bovila/core/error.h"

namespace bovila {
namespace {

constexpr std::string_view kQuestion = "Question:";
constexpr std::string_view kAnswer = "Answer: The answer is";

std::string instruction(const Sample& sample, std::string_view wanted, std::string_view given) {
  return fmt::format("Instruction: Predict the {} based on the {} and {}.\nVideo:", wanted,
                     sample.about_dialogue ? "dialogue, video" : "video", given);
}

std::string choices(const Sample& sample) {
  std::string text = "Choices: \n";
  for (int place = 0; place < std::ssize(sample.options); ++place) {
    text += fmt::format("({}) {}\n", static_cast<char>('A' + place),
                        sample.options[static_cast<size_t>(sample.option_at(place))]);
  }
  return text;
}

std::string letter(const Sample& sample, int option) {
  return fmt::format(" ({})", static_cast<char>('A' + sample.place_of(option)));
}

void append(std::vector<int32_t>& tokens, const std::vector<int32_t>& more) {
  tokens.insert(tokens.end(), more.begin(), more.end());
}

}  // namespace

Prompt PromptBuilder::vqa(const Sample& sample, int option) const {
  BOVILA_CHECK(option >= 0 && option < std::ssize(sample.options), "option {}", option);
  std::string text = fmt::format("{} {}\n", kQuestion, sample.question);
  const auto question_end = static_cast<int64_t>(text.size());
  text += choices(sample);
  text += kAnswer;
  const auto label = static_cast<int64_t>(text.size());
  text += letter(sample, option);

  const Encoding rest = tokenizer_.encode(text);
  Prompt prompt = assemble(sample, instruction(sample, "answer", "question"), rest);
  const int64_t rest_start = prompt.size() - 1 - std::ssize(rest.ids);
  const int64_t question = rest.token_at(std::ssize(kQuestion));
  prompt.label_start = rest_start + rest.token_at(label);
  prompt.question_start = rest_start + question;
  prompt.question_len = rest.token_at(question_end) - question;
  return prompt;
}

Prompt PromptBuilder::vaq(const Sample& sample) const {
  BOVILA_CHECK(sample.answer.has_value(), "question {} hides its answer", sample.question_id);
  std::string text = choices(sample);
  text += kAnswer;
  text += letter(sample, *sample.answer);
  text += fmt::format("\n{}", kQuestion);
  const auto label = static_cast<int64_t>(text.size());
  text += fmt::format(" {}", sample.question);

  const Encoding rest = tokenizer_.encode(text);
  Prompt prompt = assemble(sample, instruction(sample, "question", "answer"), rest);
  prompt.label_start = prompt.size() - 1 - std::ssize(rest.ids) + rest.token_at(label);
  return prompt;
}

Prompt PromptBuilder::assemble(const Sample& sample, const std::string& instruction,
                               const Encoding& rest) const {
  Prompt prompt;
  prompt.tokens.push_back(tokenizer_.bos());
  append(prompt.tokens, tokenizer_.encode(instruction).ids);
  prompt.video_start = prompt.size();
  prompt.tokens.resize(prompt.tokens.size() + max_feats_, 0);
  prompt.tokens.push_back(tokenizer_.newline());
  if (sample.dialogue) {
    std::vector<int32_t> dialogue =
        tokenizer_.encode(fmt::format("Dialogue: {}\n", *sample.dialogue)).ids;
    const int64_t over =
        prompt.size() + std::ssize(dialogue) + std::ssize(rest.ids) + 1 - max_seq_len_;
    prompt.num_cut_tokens = std::clamp<int64_t>(over, 0, std::ssize(dialogue));
    dialogue.resize(dialogue.size() - prompt.num_cut_tokens);
    append(prompt.tokens, dialogue);
  }
  append(prompt.tokens, rest.ids);
  prompt.tokens.push_back(tokenizer_.eos());
  return prompt;
}

}  // namespace bovila
