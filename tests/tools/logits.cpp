// Logits of a LLaMA without adapters, for the comparison with Hugging Face's transformers
// (compare_logits.py). Prints the vocabulary's logits a line, one line a token of the text.
#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <vector>

#include "bovila/core/error.h"
#include "bovila/model/llama.h"

int main(int argc, char** argv) {
  if (argc < 4) {
    fmt::print(stderr, "usage: logits FOLDER TOKENIZER_VOCAB_SIZE TOKEN...\n");
    return 2;
  }
  try {
    using namespace bovila;
    const torch::NoGradGuard no_grad;
    const auto params = read_llama_params(argv[1], std::stoll(argv[2]));
    const Llama llama(load_llama_weights(argv[1], params, torch::kFloat32));
    const std::vector<int32_t> tokens = [&] {
      std::vector<int32_t> ids;
      for (int i = 3; i < argc; ++i) ids.push_back(std::stoi(argv[i]));
      return ids;
    }();
    auto row = SequenceTree::chain(tokens, 0);
    row.want(0, 0, row.size());
    const auto sequences = lay_out(std::span(&row, 1), /*max_feats=*/1, torch::kCPU);
    const std::vector<AdapterSlots> none(static_cast<size_t>(params.n_layers));
    const auto logits = llama.logits(llama.forward(llama.embed(sequences.tokens), sequences, none));
    for (int64_t i = 0; i < logits.size(0); ++i) {
      const float* values = logits.const_data_ptr<float>() + i * logits.size(1);
      fmt::print("{:.9g}\n", fmt::join(values, values + logits.size(1), " "));
    }
  } catch (const bovila::UserError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
  return 0;
}
