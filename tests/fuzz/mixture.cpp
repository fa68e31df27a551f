// The list of a mixture, beside a set of lines that it may name.
#include "bovila/core/error.h"
#include "bovila/data/annotations.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_mixture(std::string_view bytes) {
  put("train.json", bytes);
  put("own.jsonl", R"({"video": "v", "question": "q", "options": ["a", "b"], "answer": 0})");
  read_annotations("mixture", folder(), "train", true);
  read_annotations("mixture", folder(), "train", false);
}

}  // namespace bovila::fuzz
