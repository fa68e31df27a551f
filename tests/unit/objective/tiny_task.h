// Questions for the tiny LLaMA of tests/unit/model/tiny_llama.h, made token by token.
// Fed to objective/objective.h and evaluation/evaluator.h in place of a data set's.
#pragma once

#include <vector>

#include "bovila/data/example.h"
#include "bovila/dist/libtorch.h"
#include "bovila/features/feature_store.h"

namespace bovila::testing {

using Ids = std::vector<int32_t>;

inline constexpr int64_t kFrames = 3;  // F of tiny_model()
inline constexpr int32_t kBos = 1, kEos = 2, kNewline = 6;

inline Ids join(std::initializer_list<Ids> parts) {
  Ids all;
  for (const Ids& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

/// <bos> instruction, three video slots, "Question:" and the question, choices, the labels.
inline Prompt vqa_prompt(const Ids& question, const Ids& labels) {
  const Ids before = {kBos, 3, 0, 0, 0, kNewline, 5};
  Prompt prompt;
  prompt.tokens = join({before, question, {kNewline, 7, 7}, labels, {kEos}});
  prompt.video_start = 2;
  prompt.question_start = std::ssize(before);
  prompt.question_len = std::ssize(question) + 1;
  prompt.label_start = prompt.size() - std::ssize(labels) - 1;
  return prompt;
}

/// The same with the answer given and the question as labels.
inline Prompt vaq_prompt(const Ids& question, const Ids& labels) {
  Prompt prompt;
  prompt.tokens = join({{kBos, 4, 0, 0, 0, kNewline, 7, 7}, labels, {5}, question, {kEos}});
  prompt.video_start = 2;
  prompt.label_start = prompt.size() - std::ssize(question) - 1;
  return prompt;
}

/// Question, choices and answer, and the video's slots at the end.
inline Prompt qav_prompt(const Ids& question, const Ids& labels) {
  Prompt prompt;
  prompt.tokens = join({{kBos, 3, 5}, question, {kNewline, 7}, labels, {4, 0, 0, 0, kEos}});
  prompt.video_start = prompt.label_start = prompt.size() - kFrames - 1;
  return prompt;
}

inline std::vector<float> random_frames(int64_t row) {
  torch::manual_seed(static_cast<uint64_t>(100 + row));
  const auto frames = torch::randn({kFrames * kFeatureDim});
  return {frames.data_ptr<float>(), frames.data_ptr<float>() + frames.numel()};
}

inline Example make_example(int64_t row, const Ids& question, const Ids& labels) {
  return {row, random_frames(row), vqa_prompt(question, labels), vaq_prompt(question, labels),
          qav_prompt(question, labels)};
}

/// Three questions of different lengths; a label of the second is token 0, which never counts.
inline std::vector<Example> three_examples() {
  return {make_example(4, {8, 9, 10, 11}, {12, 13, 14}), make_example(7, {15, 16}, {12, 0, 14}),
          make_example(9, {20, 9, 21, 22, 8, 9}, {12, 19, 14})};
}

inline OptionExample make_options(int64_t row, const Ids& question,
                                  const std::vector<Ids>& labels) {
  OptionExample example{row, random_frames(row), {}};
  for (const Ids& option : labels) example.options.push_back(vqa_prompt(question, option));
  return example;
}

}  // namespace bovila::testing
