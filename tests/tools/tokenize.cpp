// Tokens of many texts, for the comparison with the libraries of the models
// (compare_tokenizers.py). Reads a JSON string a line from stdin; prints {"ids": [...], "begin":
// [...]} a line. First of all comes a line about the tokenizer itself.
#include <fmt/format.h>

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bovila/core/error.h"
#include "bovila/text/tokenizer.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: tokenize FILE <TEXTS\n");
    return 2;
  }
  try {
    const auto tokenizer = bovila::load_tokenizer(argv[1]);
    const nlohmann::json about = {{"vocab_size", tokenizer->vocab_size()},
                                  {"bos", tokenizer->bos()},
                                  {"eos", tokenizer->eos()},
                                  {"newline", tokenizer->newline()}};
    std::cout << about << '\n';
    for (std::string line; std::getline(std::cin, line);) {
      const auto text = nlohmann::json::parse(line).get<std::string>();
      const bovila::Encoding encoding = tokenizer->encode(text);
      const nlohmann::json shown = {{"ids", encoding.ids},
                                    {"begin", encoding.begin},
                                    {"text", tokenizer->decode(encoding.ids)}};
      std::cout << shown << '\n';
    }
  } catch (const bovila::UserError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
  return 0;
}
