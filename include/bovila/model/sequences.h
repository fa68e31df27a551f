// Token sequences laid out for one forward pass: several prompts, shared prefixes, no padding.
// Fed by data/prompt.h; feeds model/llama.h with tokens, positions and who may attend to whom.
//
// A row of the pass is a tree: a prefix and branches that continue it. The options of one question
// differ in their last tokens only, so the prefix is computed once and every branch gets exactly
// what it would get on its own:
//
//     prefix  p p p p p p          branch 0  a a a          branch 1  b b b b
//     row     p p p p p p a a a b b b b      a attends to p and a, b to p and b
//
// Branches may stand in groups with a stem of their own, as when a question's options are turned:
// each order of the options is computed once, and seen by its own branches alone.
//
// Rows themselves share what they have in common before their videos, the instruction. The tokens
// of a pass lie one after the other, each once: [shared | rest of row 0 | rest of row 1 | ...].
//
// Legend: B rows, F video slots, T tokens of the pass, U wanted tokens, N outputs asked for.
#pragma once

#include <span>
#include <vector>

#include "bovila/dist/libtorch.h"
#include "bovila/model/attention_scope.h"

namespace bovila {

/// Sequences that agree in their first `stem_end` tokens, which are laid out once.
struct SequenceGroup {
  std::span<const std::vector<int32_t>> sequences;
  int64_t stem_end = 0;
};

/// One row of a pass, on the host.
class SequenceTree {
 public:
  /// A row without branches.
  static SequenceTree chain(std::span<const int32_t> tokens, int64_t video_start);
  /// Sequences that agree in their first `prefix_len` tokens, which are laid out once. The video's
  /// slots are among them.
  static SequenceTree shared(std::span<const std::vector<int32_t>> sequences, int64_t prefix_len,
                             int64_t video_start);
  /// The same of groups, all of whose sequences agree in their first `prefix_len` tokens; each
  /// group's stem follows those. Sequences are numbered through all groups.
  static SequenceTree grouped(std::span<const SequenceGroup> groups, int64_t prefix_len,
                              int64_t video_start);

  /// Place in the row of token `position` of sequence `branch` (0 in a chain).
  int64_t index(int64_t branch, int64_t position) const;
  /// Asks for the hidden states of positions [first, first + count) of a sequence. Outputs come in
  /// the order of the calls.
  void want(int64_t branch, int64_t first, int64_t count);

  int64_t size() const { return static_cast<int64_t>(tokens.size()); }

  std::vector<int64_t> tokens;
  std::vector<int64_t> positions;  ///< in the sequence, for the rotary embedding
  std::vector<int64_t> branches;   ///< 0 = prefix, k + 1 = branch k, behind those the stems
  std::vector<int64_t> stems;      ///< of `branches`, the one that comes before; 0 = none
  std::vector<int64_t> outputs;    ///< places in the row, in the order asked for
  int64_t video_start = 0;
  int64_t prefix_len = 0;

 private:
  /// Where a sequence's own tokens begin, as a place in the row and a position in the sequence, and
  /// the place of its group's stem.
  struct Branch {
    int64_t place = 0, position = 0, stem = 0;
  };
  void append(std::span<const int32_t> sequence, int64_t first, int64_t last, int64_t branch,
              int64_t stem);
  std::vector<Branch> starts_;
};

/// Rows of one pass as tensors on the model's device.
struct Sequences {
  torch::Tensor tokens;       // [T] int64
  torch::Tensor positions;    // [T] int64
  torch::Tensor video_slots;  // [B * F] int64: tokens whose places the frames take, row by row
  torch::Tensor outputs;   // [U] int64: tokens whose hidden states are wanted, ascending, each once
  torch::Tensor selected;  // [N] int64: which of the U each output is, row by row as asked for
  AttentionScope every;    // all tokens query
  AttentionScope wanted;   // the U query
  int64_t num_shared = 0;  // tokens that all rows share
  std::vector<int64_t> first_own;  // [B] the first token of each row behind those

  int64_t num_tokens() const { return tokens.size(0); }
  /// The token at a place of a row (SequenceTree::index).
  int64_t token(int64_t row, int64_t place) const {
    return place < num_shared ? place : first_own[static_cast<size_t>(row)] + place - num_shared;
  }
};

/// Lays rows out for a pass.
Sequences lay_out(std::span<const SequenceTree> rows, int64_t max_feats, torch::Device device);

}  // namespace bovila
