// Three places that may name the begin and the end token.
#include "src/text/tokenizer_specials.h"

#include "bovila/core/error.h"

namespace bovila {
namespace {

constexpr const char* kBeginNames[] = {"<|begin_of_text|>", "<s>"};
constexpr const char* kEndNames[] = {"<|end_of_text|>", "</s>", "<|endoftext|>"};

std::string config_token(const JsonNode& node) {
  if (node.is_null()) return "";
  return node.value().is_object() ? node["content"].text() : node.text();
}

void read_template(const JsonNode& node, EndTokens& tokens) {
  bool text_seen = false;
  for (const JsonNode& part : node["single"].items()) {
    part.allow_only({"Sequence", "SpecialToken"});
    if (!part["Sequence"].is_null()) {
      text_seen = true;
      continue;
    }
    std::string& token = text_seen ? tokens.end : tokens.begin;
    if (!token.empty()) part.fail("one token before the text and one behind it");
    token = part["SpecialToken"]["id"].text();
  }
}

}  // namespace

EndTokens read_tokenizer_config(const JsonNode& document) {
  return {config_token(document["bos_token"]), config_token(document["eos_token"])};
}

EndTokens read_post_processor(const JsonNode& node) {
  EndTokens tokens;
  if (node.is_null()) return tokens;
  const bool is_sequence = node["type"].text() == "Sequence";
  const std::vector<JsonNode> steps =
      is_sequence ? node["processors"].items() : std::vector<JsonNode>{node};
  for (const JsonNode& step : steps) {
    const std::string& type = step["type"].text();
    if (type == "TemplateProcessing") {
      read_template(step, tokens);
    } else if (type != "ByteLevel") {  // which changes no tokens
      step["type"].fail("a post-processor that is known here: TemplateProcessing, ByteLevel");
    }
  }
  return tokens;
}

EndTokens find_usual_names(const std::function<bool(const std::string&)>& is_token) {
  EndTokens tokens;
  for (const char* name : kBeginNames) {
    if (tokens.begin.empty() && is_token(name)) tokens.begin = name;
  }
  for (const char* name : kEndNames) {
    if (tokens.end.empty() && is_token(name)) tokens.end = name;
  }
  return tokens;
}

}  // namespace bovila
