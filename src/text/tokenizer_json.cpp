// Hugging Face's tokenizer.json with a BPE model. Every key of it that could change a token is
// either followed or an error that names it: a step that was passed over would give other tokens
// without a word.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "bovila/core/error.h"
#include "bovila/core/log.h"
#include "src/files/json_node.h"
#include "src/text/tokenizer_forms.h"
#include "src/text/tokenizer_specials.h"
#include "src/text/tokenizer_steps.h"

namespace bovila {
namespace {

constexpr int64_t kMaxTokens = int64_t{1} << 20;
constexpr int64_t kMaxUnused = int64_t{1} << 14;  // ids without a token: memory is taken for each

/// One of at most `num_tokens` ids, and some that are not used.
int32_t read_id(const JsonNode& node, size_t num_tokens) {
  const int64_t id = node.integer();
  const int64_t end = std::min(kMaxTokens, static_cast<int64_t>(num_tokens) + kMaxUnused);
  if (id < 0 || id >= end) node.fail(fmt::format("an id from 0 to {}", end - 1));
  return static_cast<int32_t>(id);
}

class JsonReader {
 public:
  JsonReader(const std::string& path, const nlohmann::json& document)
      : path_(path), root_(path, document), model_(root_["model"]) {}

  BpeParts read() {
    check_keys();
    Splitters splitters = read_pre_tokenizers(root_["pre_tokenizer"]);
    by_byte_ = splitters.by_byte;
    parts_.splitters = std::move(splitters.steps);
    parts_.normalizers = read_normalizers(root_["normalizer"]);
    read_vocabulary();
    read_options();
    read_merges();
    read_added_tokens();
    read_texts();
    read_end_tokens();
    return std::move(parts_);
  }

 private:
  void check_keys() const {
    root_.allow_only({"version", "truncation", "padding", "added_tokens", "normalizer",
                      "pre_tokenizer", "post_processor", "decoder", "model"});
    if (!root_["truncation"].is_null() || !root_["padding"].is_null()) {
      log::info("{}: its settings to cut and to pad texts are passed over: neither is done here",
                path_);
    }
    if (model_.is_null()) model_.fail("a model with its vocabulary: this is no tokenizer.json");
    if (model_["type"].is_null() || model_["type"].text() != "BPE") model_["type"].fail("\"BPE\"");
    model_.allow_only({"type", "dropout", "unk_token", "continuing_subword_prefix",
                       "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges", "vocab",
                       "merges"});
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      if (!model_[key].is_null() && !model_[key].text().empty()) model_[key].fail("null");
    }
    const nlohmann::json& dropout = model_["dropout"].value();
    if (!dropout.is_null() && dropout != 0) model_["dropout"].fail("null");
  }

  /// What the text of a vocabulary or a merge stands for; nothing when no text can hold it.
  std::optional<std::string> to_bytes(const std::string& text) const {
    return by_byte_ ? from_byte_alphabet(text) : text;
  }

  void read_vocabulary() {
    const JsonNode vocab = model_["vocab"];
    if (!vocab.value().is_object()) vocab.fail("an object of tokens and their ids");
    for (const auto& [text, unused] : vocab.value().items()) {
      const JsonNode entry = vocab[text];
      const int32_t id = read_id(entry, vocab.value().size());
      add_token(entry, text, id);
      const auto bytes = to_bytes(text);
      if (bytes) parts_.bpe.add(*bytes, id);
    }
  }

  void add_token(const JsonNode& place, const std::string& text, int32_t id) {
    const auto at = static_cast<size_t>(id);
    if (at >= texts_.size()) texts_.resize(at + 1);
    if (!texts_[at].empty()) place.fail(fmt::format("an id of its own: \"{}\" has it", texts_[at]));
    texts_[at] = text;
    ids_.emplace(text, id);
  }

  void read_options() {
    BpeOptions options;
    options.by_byte = by_byte_;
    options.whole_words_first = model_["ignore_merges"].flag(false);
    const JsonNode unknown = model_["unk_token"];
    if (!unknown.is_null()) {
      const auto id = ids_.find(unknown.text());
      if (id == ids_.end()) unknown.fail("a token of the vocabulary");
      options.unknown_id = id->second;
      const bool fuse = model_["fuse_unk"].flag(false);
      options.unknown = fuse ? UnknownCharacter::kOneToken : UnknownCharacter::kToken;
    }
    if (model_["byte_fallback"].flag(false)) {
      check_byte_tokens();
      options.unknown = UnknownCharacter::kByteTokens;
    }
    parts_.bpe.set_options(options);
  }

  void check_byte_tokens() const {
    const JsonNode fallback = model_["byte_fallback"];
    if (by_byte_) fallback.fail("false after the pre-tokenizer ByteLevel");
    for (int byte = 0; byte < 256; ++byte) {
      const std::string name = byte_token(static_cast<unsigned char>(byte));
      if (!ids_.contains(name)) fallback.fail(fmt::format("false: {} is no token", name));
    }
  }

  void read_merges() {
    if (model_["merges"].is_null()) model_["merges"].fail("a list of merges");
    int32_t rank = 0;
    for (const JsonNode& merge : model_["merges"].items()) {
      const auto [left, right] = read_pair(merge);
      const auto joined = parts_.bpe.find(left + right);
      const auto left_id = parts_.bpe.find(left);
      const auto right_id = parts_.bpe.find(right);
      if (!left_id || !right_id || !joined) merge.fail("two tokens that are a token together");
      parts_.bpe.add_merge(*left_id, *right_id, {rank++, *joined});
    }
  }

  /// "left right" or ["left", "right"], as bytes.
  std::pair<std::string, std::string> read_pair(const JsonNode& merge) const {
    std::vector<std::string> sides;
    if (merge.value().is_array()) {
      for (const JsonNode& side : merge.items()) sides.push_back(side.text());
    } else {
      const std::string& text = merge.text();
      const size_t space = std::min(text.find(' '), text.size());
      sides = {text.substr(0, space), text.substr(std::min(space + 1, text.size()))};
    }
    if (sides.size() != 2 || sides[0].empty() || sides[1].empty()) merge.fail("two tokens");
    const auto left = to_bytes(sides[0]);
    const auto right = to_bytes(sides[1]);
    if (!left || !right) merge.fail("two tokens in ByteLevel's alphabet");
    return {*left, *right};
  }

  void read_added_tokens() {
    auto next_id = static_cast<int32_t>(ids_.size());
    std::set<int32_t> unused;
    for (const JsonNode& node : root_["added_tokens"].items()) {
      node.allow_only(
          {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
      AddedToken token{node["content"].text(), read_id(node["id"], kMaxTokens),
                       node["special"].flag(false), node["normalized"].flag(true)};
      if (token.content.empty()) node["content"].fail("at least one character");
      if (!token.special) check_plain_token(node, token);
      const auto known = ids_.find(token.content);
      if (known == ids_.end()) {
        // The library numbers them on from the vocabulary's size whatever the file says.
        if (token.id != next_id) node["id"].fail(fmt::format("{}, the next one", next_id));
        add_token(node["id"], token.content, token.id);
        if (token.special) unused.insert(token.id);
      } else if (known->second != token.id) {
        node["id"].fail(fmt::format("{}, its id in the vocabulary", known->second));
      }
      next_id = std::max(next_id, token.id + 1);
      parts_.added.push_back(std::move(token));
    }
    auto last = static_cast<int32_t>(texts_.size()) - 1;
    for (; unused.contains(last); --last) ++parts_.num_unused_at_end;
  }

  void check_plain_token(const JsonNode& node, const AddedToken& token) const {
    for (const char* key : {"single_word", "lstrip", "rstrip"}) {
      if (node[key].flag(false)) node[key].fail("false for a token that is not special");
    }
    if (token.normalized && !parts_.normalizers.empty()) {
      node["normalized"].fail("false for a token that is not special, beside a normalizer");
    }
  }

  /// What each token is in a decoded text.
  void read_texts() {
    const DecoderRules rules = read_decoder(root_["decoder"], by_byte_);
    parts_.drops_first_space = rules.drops_first_space;
    for (const std::string& text : texts_) parts_.bytes.push_back(decoded(text, rules.space));
    if (model_["byte_fallback"].flag(false)) {
      for (int byte = 0; byte < 256; ++byte) {
        const auto c = static_cast<unsigned char>(byte);
        text_of(ids_.at(byte_token(c))) = std::string(1, static_cast<char>(c));
      }
    }
    for (const AddedToken& token : parts_.added) {
      text_of(token.id) = token.special ? "" : token.content;
    }
  }

  std::string& text_of(int32_t id) { return parts_.bytes[static_cast<size_t>(id)]; }

  std::string decoded(const std::string& text, const std::string& space) const {
    if (by_byte_) return from_byte_alphabet(text).value_or(text);
    return space.empty() ? text : replace_all(align(text), space, " ").text;
  }

  void read_end_tokens() {
    EndTokens tokens = read_config();
    const EndTokens by_template = read_post_processor(root_["post_processor"]);
    const EndTokens usual =
        find_usual_names([&](const std::string& name) { return ids_.contains(name); });
    for (const EndTokens& other : {by_template, usual}) {
      if (tokens.begin.empty()) tokens.begin = other.begin;
      if (tokens.end.empty()) tokens.end = other.end;
    }
    if (tokens.end.empty()) {
      throw UserError(
          "{} does not say which token ends a text: set \"eos_token\" in tokenizer_config.json "
          "beside it",
          path_);
    }
    if (tokens.begin.empty()) tokens.begin = tokens.end;
    parts_.eos = id_of(tokens.end, "ends");
    parts_.bos = id_of(tokens.begin, "begins");
    parts_.newline = find_newline();
  }

  EndTokens read_config() const {
    const std::filesystem::path file =
        std::filesystem::path(path_).parent_path() / "tokenizer_config.json";
    if (!std::filesystem::exists(file)) return {};
    const std::string name = file;
    const nlohmann::json document = parse_json_object(name, read_tokenizer_file(name));
    return read_tokenizer_config(JsonNode(name, document));
  }

  int32_t id_of(const std::string& name, const char* what) const {
    const auto found = ids_.find(name);
    if (found != ids_.end()) return found->second;
    throw UserError(
        "{} has no token \"{}\", which {} a text according to tokenizer_config.json beside it or "
        "to its own post_processor",
        path_, name, what);
  }

  int32_t find_newline() const {
    auto id = parts_.bpe.find("\n");
    if (!id && model_["byte_fallback"].flag(false)) id = parts_.bpe.find(byte_token('\n'));
    if (!id) throw UserError("{} has no token for a line feed, which prompts need", path_);
    return *id;
  }

  const std::string& path_;
  JsonNode root_;
  JsonNode model_;
  BpeParts parts_;
  bool by_byte_ = false;
  std::vector<std::string> texts_;  // by id, as the file has them; "" for none
  std::unordered_map<std::string, int32_t> ids_;
};

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer_json(const std::string& path, const std::string& bytes) {
  const nlohmann::json document = parse_json_object(path, bytes);
  return make_bpe_tokenizer(JsonReader(path, document).read());
}

}  // namespace bovila
