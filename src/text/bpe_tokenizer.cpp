// The steps in the order of the tokenizers library: added tokens are searched for before and, in
// what is left, after the normalizers; every part between them is split and merged on its own.
#include "src/text/bpe_tokenizer.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "bovila/core/error.h"
#include "bovila/core/utf8.h"

namespace bovila {
namespace {

constexpr size_t kMaxGrowth = 64;  // Unicode's forms lengthen a text up to 18 times

/// The added tokens that are searched for at one stage.
class AddedTokens {
 public:
  AddedTokens(const std::vector<AddedToken>& all, bool normalized) {
    for (const AddedToken& token : all) {
      if (token.normalized == normalized && !token.content.empty()) tokens_.push_back(token);
    }
    std::ranges::stable_sort(tokens_, [](const AddedToken& a, const AddedToken& b) {
      return a.content.size() > b.content.size();
    });
    const auto to_find = [](const AddedToken& token) { return !token.special; };
    if (std::ranges::none_of(tokens_, to_find)) tokens_.clear();
    for (const AddedToken& token : tokens_) {
      starts_[static_cast<unsigned char>(token.content.front())] = true;
    }
  }

  /// Calls on_text with each part between tokens that is not empty and on_token(id, begin).
  template <typename OnText, typename OnToken>
  void split(const AlignedText& text, const OnText& on_text, const OnToken& on_token) const {
    size_t begin = 0;
    for (size_t at = tokens_.empty() ? text.text.size() : 0; at < text.text.size();) {
      const AddedToken* token = token_at(text.text, at);
      const size_t size = token == nullptr ? 1 : token->content.size();
      if (token != nullptr && !token->special) {
        if (at > begin) on_text(text.slice(begin, at));
        on_token(token->id, text.origin[at]);
        begin = at + size;
      }
      at += size;
    }
    if (begin < text.text.size()) on_text(text.slice(begin, text.text.size()));
  }

 private:
  /// The longest one; special ones are found too, so that no other begins inside them.
  const AddedToken* token_at(std::string_view text, size_t at) const {
    if (!starts_[static_cast<unsigned char>(text[at])]) return nullptr;
    const auto found = std::ranges::find_if(tokens_, [&](const AddedToken& token) {
      return text.substr(at).starts_with(token.content);
    });
    return found == tokens_.end() ? nullptr : &*found;
  }

  std::vector<AddedToken> tokens_;  // longest first
  bool starts_[256] = {};
};

class BpeTokenizer final : public Tokenizer {
 public:
  explicit BpeTokenizer(BpeParts parts)
      : parts_(std::move(parts)), raw_(parts_.added, false), normalized_(parts_.added, true) {
    for (int32_t id : {bos(), eos(), newline()}) {
      BOVILA_CHECK(id >= 0 && id < vocab_size(), "token {} of {}", id, vocab_size());
    }
  }

  Encoding encode(std::string_view text) const override {
    Encoding encoding;
    const auto on_token = [&](int32_t id, int64_t begin) {
      encoding.ids.push_back(id);
      encoding.begin.push_back(begin);
    };
    const auto on_words = [&](const AlignedText& part) { encode_words(part, encoding); };
    const auto on_text = [&](const AlignedText& part) {
      normalized_.split(normalize(part), on_words, on_token);
    };
    raw_.split(align(text), on_text, on_token);
    encoding.begin.push_back(static_cast<int64_t>(text.size()));
    return encoding;
  }

  std::string decode(const std::vector<int32_t>& ids) const override {
    std::string bytes;
    for (int32_t id : ids) {
      BOVILA_CHECK(id >= 0 && id < vocab_size(), "token {} of {}", id, vocab_size());
      bytes += parts_.bytes[static_cast<size_t>(id)];
    }
    if (parts_.drops_first_space && bytes.starts_with(' ')) bytes.erase(0, 1);
    return to_valid_utf8(bytes);
  }

  int64_t vocab_size() const override { return std::ssize(parts_.bytes); }
  int64_t prompt_vocab_size() const override {
    const int64_t kept = std::max({bos(), eos(), newline()}) + 1;
    return std::max(kept, vocab_size() - parts_.num_unused_at_end);
  }
  int32_t bos() const override { return parts_.bos; }
  int32_t eos() const override { return parts_.eos; }
  int32_t newline() const override { return parts_.newline; }

 private:
  /// Each step may lengthen a text; a file of a few steps could make gigabytes of a word.
  AlignedText normalize(AlignedText text) const {
    const size_t limit = kMaxGrowth * (text.text.size() + kMaxGrowth);
    for (const Normalizer& normalizer : parts_.normalizers) {
      text = normalizer(text);
      if (text.text.size() <= limit) continue;
      throw UserError("the tokenizer's normalizers make more than {} bytes of a text of {}", limit,
                      text.origin.back() - text.origin.front());
    }
    return text;
  }

  void encode_words(const AlignedText& text, Encoding& encoding) const {
    std::vector<AlignedText> words{text};
    for (const Splitter& splitter : parts_.splitters) {
      std::vector<AlignedText> smaller;
      for (const AlignedText& word : words) {
        std::ranges::move(splitter(word), std::back_inserter(smaller));
      }
      words = std::move(smaller);
    }
    std::vector<BpeToken> tokens;
    for (const AlignedText& word : words) {
      tokens.clear();
      parts_.bpe.encode(word.text, tokens);
      for (const BpeToken& token : tokens) {
        encoding.ids.push_back(token.id);
        encoding.begin.push_back(word.origin[token.begin]);
      }
    }
  }

  BpeParts parts_;
  AddedTokens raw_;
  AddedTokens normalized_;
};

}  // namespace

Splitter split_by(SplitPattern pattern, Between between) {
  const auto shared = std::make_shared<const SplitPattern>(std::move(pattern));
  return [shared, between](const AlignedText& text) {
    std::vector<AlignedText> parts;
    size_t at = 0;
    const auto add = [&](size_t begin, size_t end) {
      if (begin < end) parts.push_back(text.slice(begin, end));
    };
    for (const ByteRange& match : shared->find_all(text.text)) {
      if (between == Between::kKept) add(at, match.begin);
      add(match.begin, match.end);
      at = match.end;
    }
    if (between == Between::kKept) add(at, text.text.size());
    return parts;
  };
}

std::unique_ptr<Tokenizer> make_bpe_tokenizer(BpeParts parts) {
  return std::make_unique<BpeTokenizer>(std::move(parts));
}

}  // namespace bovila
