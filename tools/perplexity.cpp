// perplexity: how well a frozen LLaMA expects a text, to see whether a folder of weights and its
// tokenizer were converted rightly. Fed by a folder for model.llama and a text on standard input.
#include <fmt/format.h>

#include <cmath>
#include <iostream>
#include <iterator>

#include "bovila/core/error.h"
#include "bovila/dist/libtorch.h"
#include "bovila/model/llama.h"
#include "bovila/train/experiment.h"

using namespace bovila;

namespace {

/// exp of the mean negative log-likelihood of the text's tokens after the begin token.
double perplexity(const std::string& folder, const std::string& text) {
  ModelConfig config;
  config.llama = folder;
  const auto tokenizer = load_tokenizer(find_tokenizer(config));
  std::vector<int32_t> ids = tokenizer->encode(text).ids;
  if (ids.empty()) throw UserError("expected a text on standard input, got none");
  ids.insert(ids.begin(), tokenizer->bos());
  const LlamaParams params = read_llama_params(folder, tokenizer->prompt_vocab_size());
  const Llama llama(load_llama_weights(folder, params, torch::kFloat32));

  auto row = SequenceTree::chain(ids, 0);
  row.want(0, 0, row.size() - 1);
  const Sequences sequences = lay_out(std::span(&row, 1), /*max_feats=*/1, torch::kCPU);
  const std::vector<AdapterSlots> none(static_cast<size_t>(params.n_layers));
  const auto hidden_ND = llama.forward(llama.embed(sequences.tokens), sequences, none);
  const auto labels_N = sequences.tokens.narrow(0, 1, row.size() - 1);
  return std::exp(torch::cross_entropy_loss(llama.logits(hidden_ND), labels_N).item<double>());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: perplexity FOLDER <TEXT\n");
    return static_cast<int>(ExitCode::kUserError);
  }
  try {
    const torch::NoGradGuard no_grad;
    const std::string text(std::istreambuf_iterator<char>(std::cin), {});
    fmt::print("{:.2f}\n", perplexity(argv[1], text));
    return static_cast<int>(ExitCode::kSuccess);
  } catch (const UserError& error) {
    fmt::print(stderr, "perplexity: {}\n", error.what());
    return static_cast<int>(ExitCode::kUserError);
  } catch (const std::exception& error) {
    fmt::print(stderr, "perplexity: {}\n", error.what());
    return static_cast<int>(ExitCode::kFailure);
  }
}
