// Each step as the tokenizers library takes it (0.23).
#include "src/text/tokenizer_steps.h"

#include <unicode/utf8.h>

#include <array>
#include <utility>

#include "bovila/core/error.h"

namespace bovila {
namespace {

constexpr int kMaxStepDepth = 10;

/// The leaves of nested Sequence steps, whose lists are under `list`.
void flatten(const JsonNode& node, std::string_view list, int depth, std::vector<JsonNode>& steps) {
  if (node.is_null()) return;
  if (depth > kMaxStepDepth) node.fail("fewer sequences in one another");
  if (node["type"].text() != "Sequence") {
    steps.push_back(node);
    return;
  }
  node.allow_only({"type", list});
  for (const JsonNode& item : node[list].items()) flatten(item, list, depth + 1, steps);
}

std::vector<JsonNode> flatten(const JsonNode& node, std::string_view list) {
  std::vector<JsonNode> steps;
  flatten(node, list, 0, steps);
  return steps;
}

/// The text of {"String": text}.
const std::string& string_pattern(const JsonNode& pattern) {
  pattern.allow_only({"String"});
  const std::string& text = pattern["String"].text();
  if (text.empty()) pattern["String"].fail("at least one character");
  return text;
}

SplitPattern compile(const JsonNode& place, const std::string& pattern) {
  try {
    return SplitPattern(pattern);
  } catch (const UserError& error) {
    place.fail(fmt::format("a pattern that is known here ({})", error.what()));
  }
}

/// A pattern that matches just this text.
std::string literal_pattern(std::string_view text) {
  std::string pattern;
  for (char c : text) {
    const bool needs_quote = std::string_view("\\^$.|?*+()[]{}").find(c) != std::string_view::npos;
    if (needs_quote) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

// --- normalizers --------------------------------------------------------------------------------

Normalizer read_unicode_form(const JsonNode& node, UnicodeForm form) {
  node.allow_only({"type"});
  return UnicodeNormalizer(form);
}

Normalizer read_prepend(const JsonNode& node) {
  node.allow_only({"type", "prepend"});
  return [prefix = node["prepend"].text()](AlignedText text) {
    if (!text.empty()) text.prepend(prefix);
    return text;
  };
}

Normalizer read_replace(const JsonNode& node) {
  node.allow_only({"type", "pattern", "content"});
  return [from = string_pattern(node["pattern"]), to = node["content"].text()](
             const AlignedText& text) { return replace_all(text, from, to); };
}

Normalizer read_normalizer(const JsonNode& node) {
  const std::string& type = node["type"].text();
  if (type == "NFC") return read_unicode_form(node, UnicodeForm::kNfc);
  if (type == "NFD") return read_unicode_form(node, UnicodeForm::kNfd);
  if (type == "NFKC") return read_unicode_form(node, UnicodeForm::kNfkc);
  if (type == "NFKD") return read_unicode_form(node, UnicodeForm::kNfkd);
  if (type == "Prepend") return read_prepend(node);
  if (type == "Replace") return read_replace(node);
  node["type"].fail("a normalizer that is known here: NFC, NFD, NFKC, NFKD, Prepend, Replace");
}

// --- pre-tokenizers -----------------------------------------------------------------------------

Splitter read_byte_level(const JsonNode& node) {
  node.allow_only({"type", "add_prefix_space", "trim_offsets", "use_regex"});
  const bool add_space = node["add_prefix_space"].flag(true);
  Splitter split = [](const AlignedText& text) { return std::vector{text}; };
  if (node["use_regex"].flag(true)) split = split_by(SplitPattern(kGpt2Pattern), Between::kKept);
  return [split, add_space](AlignedText text) {
    if (add_space && !text.text.starts_with(' ')) text.prepend(" ");
    return split(text);
  };
}

Splitter read_split(const JsonNode& node) {
  node.allow_only({"type", "pattern", "behavior", "invert"});
  const JsonNode pattern = node["pattern"];
  pattern.allow_only({"Regex", "String"});
  const bool is_regex = !pattern["Regex"].is_null();
  const JsonNode given = is_regex ? pattern["Regex"] : pattern["String"];
  SplitPattern compiled = compile(given, is_regex ? given.text() : literal_pattern(given.text()));
  const std::string& behavior = node["behavior"].text();
  const bool invert = node["invert"].flag(false);
  if (behavior == "Isolated") return split_by(std::move(compiled), Between::kKept);
  if (behavior == "Removed" && invert) return split_by(std::move(compiled), Between::kDropped);
  node["behavior"].fail("\"Isolated\", or \"Removed\" with \"invert\": true");
}

Splitter read_digits(const JsonNode& node) {
  node.allow_only({"type", "individual_digits"});
  const bool each = node["individual_digits"].flag(false);
  return split_by(SplitPattern(each ? "\\p{N}" : "\\p{N}+"), Between::kKept);
}

enum class PrefixSpace { kAlways, kAtBegin, kNever };

PrefixSpace read_prepend_scheme(const JsonNode& node) {
  const JsonNode scheme = node["prepend_scheme"];
  if (scheme.is_null()) {
    return node["add_prefix_space"].flag(true) ? PrefixSpace::kAlways : PrefixSpace::kNever;
  }
  if (scheme.text() == "always") return PrefixSpace::kAlways;
  if (scheme.text() == "first") return PrefixSpace::kAtBegin;
  if (scheme.text() == "never") return PrefixSpace::kNever;
  scheme.fail("\"always\", \"first\" or \"never\"");
}

/// What stands for a space: one character.
const std::string& read_replacement(const JsonNode& node) {
  const std::string& text = node["replacement"].text();
  int32_t size = 0;
  if (!text.empty()) U8_FWD_1(text.data(), size, static_cast<int32_t>(text.size()));
  if (text.empty() || std::cmp_not_equal(size, text.size())) {
    node["replacement"].fail("one character");
  }
  return text;
}

Splitter read_metaspace(const JsonNode& node) {
  node.allow_only(
      {"type", "replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"});
  const std::string space = read_replacement(node);
  const PrefixSpace prefix = read_prepend_scheme(node);
  Splitter split = [](const AlignedText& text) { return std::vector{text}; };
  if (node["split"].flag(true)) {
    const std::string pattern = fmt::format("{0}?[^{0}]+|{0}", literal_pattern(space));
    split = split_by(compile(node["replacement"], pattern), Between::kKept);
  }
  return [=](const AlignedText& text) {
    AlignedText replaced = replace_all(text, " ", space);
    const bool wanted = prefix == PrefixSpace::kAlways ||
                        (prefix == PrefixSpace::kAtBegin && text.origin.front() == 0);
    if (wanted && !replaced.text.starts_with(space)) replaced.prepend(space);
    return split(replaced);
  };
}

Splitter read_pre_tokenizer(const JsonNode& node) {
  const std::string& type = node["type"].text();
  if (type == "ByteLevel") return read_byte_level(node);
  if (type == "Split") return read_split(node);
  if (type == "Digits") return read_digits(node);
  if (type == "Metaspace") return read_metaspace(node);
  node["type"].fail("a pre-tokenizer that is known here: ByteLevel, Split, Digits, Metaspace");
}

// --- decoder ------------------------------------------------------------------------------------

void read_decoder_step(const JsonNode& node, bool by_byte, DecoderRules& rules) {
  const std::string& type = node["type"].text();
  if (type == "ByteLevel" && by_byte) return;
  if (type == "ByteFallback" || type == "Fuse") return;
  if (type == "Replace" && node["content"].text() == " ") {
    rules.space = string_pattern(node["pattern"]);
  } else if (type == "Strip" && node["content"].text() == " " && node["start"].integer() <= 1 &&
             node["stop"].integer() == 0) {
    rules.drops_first_space = node["start"].integer() == 1;
  } else if (type == "Metaspace") {
    rules.space = read_replacement(node);
    rules.drops_first_space = read_prepend_scheme(node) != PrefixSpace::kNever;
  } else {
    node["type"].fail(
        "a decoder that undoes the steps before: ByteLevel after ByteLevel, else Replace by a "
        "space, ByteFallback, Fuse, Strip of one space at the begin, Metaspace");
  }
}

// --- GPT-2's alphabet ---------------------------------------------------------------------------

constexpr int kAlphabetEnd = 324;

/// The byte of each code point, -1 for those that stand for none. Visible Latin-1 characters stand
/// for themselves, those from 256 on for the others in order.
constexpr std::array<int, kAlphabetEnd> make_byte_of_character() {
  std::array<int, kAlphabetEnd> byte_of{};
  byte_of.fill(-1);
  size_t next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const bool visible = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    byte_of[visible ? static_cast<size_t>(byte) : next++] = byte;
  }
  return byte_of;
}

constexpr auto kByteOfCharacter = make_byte_of_character();

}  // namespace

std::vector<Normalizer> read_normalizers(const JsonNode& node) {
  std::vector<Normalizer> normalizers;
  for (const JsonNode& step : flatten(node, "normalizers")) {
    normalizers.push_back(read_normalizer(step));
  }
  return normalizers;
}

Splitters read_pre_tokenizers(const JsonNode& node) {
  Splitters splitters;
  for (const JsonNode& step : flatten(node, "pretokenizers")) {
    if (splitters.by_byte) step["type"].fail("no step after ByteLevel");
    splitters.steps.push_back(read_pre_tokenizer(step));
    splitters.by_byte = step["type"].text() == "ByteLevel";
  }
  return splitters;
}

DecoderRules read_decoder(const JsonNode& node, bool by_byte) {
  DecoderRules rules;
  for (const JsonNode& step : flatten(node, "decoders")) read_decoder_step(step, by_byte, rules);
  return rules;
}

std::optional<std::string> from_byte_alphabet(std::string_view text) {
  std::string bytes;
  for (int32_t at = 0; at < std::ssize(text);) {
    UChar32 c;
    U8_NEXT(text.data(), at, static_cast<int32_t>(text.size()), c);
    const int byte = c >= 0 && c < kAlphabetEnd ? kByteOfCharacter[static_cast<size_t>(c)] : -1;
    if (byte < 0) return std::nullopt;
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

}  // namespace bovila
