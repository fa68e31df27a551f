// The steps around BPE that a tokenizer.json names: normalizers, pre-tokenizers, the decoder.
// Fed by tokenizer_json.cpp; feeds BpeParts. What is not known here is an error that names it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/files/json_node.h"
#include "src/text/bpe_tokenizer.h"

namespace bovila {

std::vector<Normalizer> read_normalizers(const JsonNode& node);

struct Splitters {
  std::vector<Splitter> steps;
  bool by_byte = false;  // the last one is ByteLevel: the vocabulary is in its alphabet
};

Splitters read_pre_tokenizers(const JsonNode& node);

/// How a token's text becomes text again, in a vocabulary of characters.
struct DecoderRules {
  std::string space;  // what stands for a space; "" when nothing does
  bool drops_first_space = false;
};

DecoderRules read_decoder(const JsonNode& node, bool by_byte);

/// The bytes that a text in GPT-2's alphabet stands for, in which each byte is a visible character;
/// nothing when it holds another character.
std::optional<std::string> from_byte_alphabet(std::string_view text);

}  // namespace bovila
