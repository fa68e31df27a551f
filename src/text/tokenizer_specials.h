// Which tokens begin and end a text in a Hugging Face folder.
// Fed by tokenizer.json's post-processor and tokenizer_config.json; feeds tokenizer_json.cpp.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "src/files/json_node.h"

namespace bovila {

/// Names of tokens; "" when there is none.
struct EndTokens {
  std::string begin;
  std::string end;
};

/// "bos_token" and "eos_token" of tokenizer_config.json, as texts or as objects with "content".
EndTokens read_tokenizer_config(const JsonNode& document);

/// What a TemplateProcessing step puts before and behind a single text.
EndTokens read_post_processor(const JsonNode& node);

/// Those of the usual names that the vocabulary has.
EndTokens find_usual_names(const std::function<bool(const std::string&)>& is_token);

}  // namespace bovila
