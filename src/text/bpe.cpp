// The symbols are a list and the pairs wait in a heap. A pair that a merge beside it has changed
// stays there and is known, when its turn comes, by what it would join to.
#include "src/text/bpe.h"

#include <fmt/format.h>
#include <unicode/utf8.h>

#include <queue>

#include "bovila/core/error.h"

namespace bovila {
namespace {

uint64_t pair_key(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

class Merger {
 public:
  Merger(const Bpe& bpe, const std::vector<BpeToken>& symbols) : bpe_(bpe) {
    const size_t size = symbols.size();
    for (size_t at = 0; at < size; ++at) {
      nodes_.push_back({symbols[at], at == 0 ? kNone : at - 1, at + 1 < size ? at + 1 : kNone});
    }
    for (size_t at = 0; at < size; ++at) look_at(at);
  }

  void run(std::vector<BpeToken>& tokens) {
    while (!waiting_.empty()) {
      const Candidate best = waiting_.top();
      waiting_.pop();
      if (still_holds(best)) join(best);
    }
    for (const Node& node : nodes_) {
      if (!node.joined) tokens.push_back(node.token);
    }
  }

 private:
  static constexpr size_t kNone = SIZE_MAX;
  struct Node {
    BpeToken token;
    size_t before = kNone;
    size_t after = kNone;
    bool joined = false;  // with the one before: no more there
  };
  /// A node that may be joined with the one after it.
  struct Candidate {
    BpeMerge merge;
    size_t at = 0;
  };
  struct IsLater {
    bool operator()(const Candidate& a, const Candidate& b) const {
      return a.merge.rank != b.merge.rank ? a.merge.rank > b.merge.rank : a.at > b.at;
    }
  };

  const BpeMerge* merge_at(size_t at) const {
    const Node& left = nodes_[at];
    if (left.joined || left.after == kNone) return nullptr;
    return bpe_.find_merge(left.token.id, nodes_[left.after].token.id);
  }

  void look_at(size_t at) {
    const BpeMerge* merge = merge_at(at);
    if (merge != nullptr) waiting_.push({*merge, at});
  }

  bool still_holds(const Candidate& candidate) const {
    const BpeMerge* merge = merge_at(candidate.at);
    return merge != nullptr && merge->joined == candidate.merge.joined;
  }

  void join(const Candidate& candidate) {
    Node& left = nodes_[candidate.at];
    Node& right = nodes_[left.after];
    left.token.id = candidate.merge.joined;
    left.after = right.after;
    right.joined = true;
    if (left.after != kNone) nodes_[left.after].before = candidate.at;
    if (left.before != kNone) look_at(left.before);
    look_at(candidate.at);
  }

  const Bpe& bpe_;
  std::vector<Node> nodes_;
  std::priority_queue<Candidate, std::vector<Candidate>, IsLater> waiting_;
};

}  // namespace

std::string byte_token(unsigned char byte) {
  return fmt::format("<0x{:02X}>", byte);
}

bool Bpe::add(std::string_view bytes, int32_t id) {
  return ids_.emplace(std::string(bytes), id).second;
}

std::optional<int32_t> Bpe::find(std::string_view bytes) const {
  const auto found = ids_.find(bytes);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

void Bpe::add_merge(int32_t left, int32_t right, BpeMerge merge) {
  merges_.insert_or_assign(pair_key(left, right), merge);
}

const BpeMerge* Bpe::find_merge(int32_t left, int32_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void Bpe::encode(std::string_view word, std::vector<BpeToken>& tokens) const {
  if (options_.whole_words_first) {
    if (const auto id = find(word)) {
      tokens.push_back({*id, 0});
      return;
    }
  }
  Merger(*this, symbols(word)).run(tokens);
}

std::vector<BpeToken> Bpe::symbols(std::string_view word) const {
  std::vector<BpeToken> symbols;
  bool unknown_before = false;
  for (size_t at = 0; at < word.size();) {
    auto end = static_cast<int32_t>(at);
    if (options_.by_byte) {
      ++end;
    } else {
      U8_FWD_1(word.data(), end, static_cast<int32_t>(word.size()));
    }
    const std::string_view character = word.substr(at, static_cast<size_t>(end) - at);
    const auto id = find(character);
    if (id) {
      symbols.push_back({*id, at});
    } else {
      add_unknown(character, at, unknown_before, symbols);
    }
    unknown_before = !id;
    at = static_cast<size_t>(end);
  }
  return symbols;
}

void Bpe::add_unknown(std::string_view character, size_t at, bool follows,
                      std::vector<BpeToken>& symbols) const {
  switch (options_.unknown) {
    case UnknownCharacter::kDropped:
      return;
    case UnknownCharacter::kOneToken:
      if (follows) return;
      [[fallthrough]];
    case UnknownCharacter::kToken:
      symbols.push_back({options_.unknown_id, at});
      return;
    case UnknownCharacter::kByteTokens:
      for (size_t i = 0; i < character.size(); ++i) {
        const auto id = find(byte_token(static_cast<unsigned char>(character[i])));
        BOVILA_CHECK(id.has_value(), "no token for the byte {}", character[i]);
        symbols.push_back({*id, at + i});
      }
  }
}

}  // namespace bovila
