// One question ready for the model: frames and prompts. A batch is a vector of them.
// Fed by data/clip.h and data/prompt.h; feeds objective/objective.h and evaluation/evaluator.h.
#pragma once

#include <cstdint>
#include <vector>

#include "bovila/data/prompt.h"

namespace bovila {

/// For training: the right answer's VQA prompt, the VAQ prompt and, where the deck has that pass,
/// the QAV prompt.
struct Example {
  int64_t row = 0;            ///< Sample::row
  std::vector<float> frames;  ///< [F, width of the features]
  Prompt vqa;
  Prompt vaq;
  Prompt qav = {};  ///< no tokens where loss.qav is 0
};

/// For evaluation: the VQA prompt of every option, once for each order of the options that is
/// asked.
struct OptionExample {
  int64_t row = 0;
  std::vector<float> frames;    ///< [F, width of the features]
  std::vector<Prompt> options;  ///< those of an order side by side
  int64_t turns = 1;            ///< orders
};

}  // namespace bovila
