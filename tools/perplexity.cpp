// perplexity: how well a frozen LLaMA expects a text, to see whether a folder of weights and its
// tokenizer were converted rightly, and what another form of its weights (model.weights) costs.
// Fed by a folder for model.llama and a text on standard input.
#include <fmt/format.h>

#include <cmath>
#include <iostream>
#include <iterator>

#include "bovila/config/keys.h"
#include "bovila/core/error.h"
#include "bovila/dist/libtorch.h"
#include "bovila/model/llama.h"
#include "bovila/train/experiment.h"

using namespace bovila;

namespace {

/// exp of the mean negative log-likelihood of the text's tokens after the begin token.
double perplexity(const std::string& folder, WeightForm form, const std::string& text) {
  ModelConfig config;
  config.llama = folder;
  const auto tokenizer = load_tokenizer(find_tokenizer(config));
  std::vector<int32_t> ids = tokenizer->encode(text).ids;
  if (ids.empty()) throw UserError("expected a text on standard input, got none");
  ids.insert(ids.begin(), tokenizer->bos());
  const LlamaParams params = read_llama_params(folder, tokenizer->prompt_vocab_size());
  const Llama llama(load_llama_weights(folder, params, {torch::kFloat32, form}));

  auto row = SequenceTree::chain(ids, 0);
  row.want(0, 0, row.size() - 1);
  const Sequences sequences = lay_out(std::span(&row, 1), /*max_feats=*/1, torch::kCPU);
  const std::vector<AdapterSlots> none(static_cast<size_t>(params.n_layers));
  const auto hidden_ND = llama.forward(llama.embed(sequences.tokens), sequences, none);
  const auto labels_N = sequences.tokens.narrow(0, 1, row.size() - 1);
  return std::exp(torch::cross_entropy_loss(llama.logits(hidden_ND), labels_N).item<double>());
}

WeightForm form_of(const std::string& name) {
  std::string expected;
  for (const auto& [form, its_name] : names_of(WeightForm{})) {
    if (name == its_name) return form;
    expected += fmt::format("{}{}", expected.empty() ? "" : ", ", its_name);
  }
  throw UserError("'{}' is no form of weights, expected {}", name, expected);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    fmt::print(stderr, "usage: perplexity FOLDER [FORM] <TEXT\n");
    return static_cast<int>(ExitCode::kUserError);
  }
  try {
    const WeightForm form = argc == 3 ? form_of(argv[2]) : WeightForm::kComputed;
    const torch::NoGradGuard no_grad;
    const std::string text(std::istreambuf_iterator<char>(std::cin), {});
    fmt::print("{:.3f}\n", perplexity(argv[1], form, text));
    return static_cast<int>(ExitCode::kSuccess);
  } catch (const UserError& error) {
    fmt::print(stderr, "perplexity: {}\n", error.what());
    return static_cast<int>(ExitCode::kUserError);
  } catch (const std::exception& error) {
    fmt::print(stderr, "perplexity: {}\n", error.what());
    return static_cast<int>(ExitCode::kFailure);
  }
}
