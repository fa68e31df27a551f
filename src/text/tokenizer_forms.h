// The forms of tokenizer files, one loader each.
// Fed by load_tokenizer() (src/text/tokenizer.cpp), which has read the file and knows its form.
#pragma once

#include <memory>
#include <string>

#include "bovila/text/tokenizer.h"

namespace bovila {

inline constexpr const char* kTokenizerHint =
    "Expected a SentencePiece model or a tiktoken file (tokenizer.model), or a Hugging Face "
    "tokenizer.json. Check model.tokenizer in the deck, or copy the file again.";

/// Each takes the bytes of the file `path` and throws UserError naming the path.
std::unique_ptr<Tokenizer> load_sentencepiece(const std::string& path, const std::string& bytes);
std::unique_ptr<Tokenizer> load_tiktoken(const std::string& path, const std::string& bytes);
/// Also reads tokenizer_config.json beside `path`, if there.
std::unique_ptr<Tokenizer> load_tokenizer_json(const std::string& path, const std::string& bytes);

/// The whole file. @throws UserError when it is missing, a folder or not readable.
std::string read_tokenizer_file(const std::string& path);

}  // namespace bovila
