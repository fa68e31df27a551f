// Token sequences laid out for one forward pass: several prompts, shared prefixes, no wasted
// padding. Fed by data/prompt.h; feeds model/llama.h with tokens, positions and who may attend to
// whom.
//
// A row of the pass is a tree: a prefix and branches that continue it. The options of one question
// differ in their last tokens only, and the self-made question continues the same video, so the
// prefix is computed once and every branch gets exactly what it would get on its own:
//
//     prefix  p p p p p p          branch 0  a a a          branch 1  b b b b
//     row     p p p p p p a a a b b b b      a attends to p and a, b to p and b
//
// Legend: B rows, S longest row, Q most outputs of a row, N outputs of all rows.
#pragma once

#include <torch/torch.h>

#include <span>
#include <vector>

namespace bovila {

/// One row of a pass, on the host.
class SequenceTree {
 public:
  /// A row without branches.
  static SequenceTree chain(std::span<const int32_t> tokens, int64_t video_start);
  /// Sequences that agree in their first `prefix_len` tokens, which are laid out once.
  static SequenceTree shared(std::span<const std::vector<int32_t>> sequences, int64_t prefix_len,
                             int64_t video_start);

  /// Place in the row of token `position` of sequence `branch` (0 in a chain).
  int64_t index(int64_t branch, int64_t position) const;
  /// Asks for the hidden states of positions [first, first + count) of a sequence. Outputs come in
  /// the order of the calls.
  void want(int64_t branch, int64_t first, int64_t count);

  int64_t size() const { return static_cast<int64_t>(tokens.size()); }

  std::vector<int64_t> tokens;
  std::vector<int64_t> positions;  ///< in the sequence, for the rotary embedding
  std::vector<int64_t> branches;   ///< 0 = prefix, k + 1 = branch k
  std::vector<int64_t> outputs;    ///< places in the row, in the order asked for
  int64_t video_start = 0;
  int64_t prefix_len = 0;

 private:
  std::vector<int64_t> branch_start_;
};

/// Rows of one pass as tensors on the model's device.
struct Sequences {
  torch::Tensor tokens;       // [B, S] int64, 0 where a row has ended
  torch::Tensor positions;    // [B, S] int64
  torch::Tensor video_start;  // [B] int64
  torch::Tensor mask;         // [B, 1, S, S] fp32: 0 where query may attend to key, else -inf
  torch::Tensor after_video;  // [B, 1, S, S] fp32: 1 where gate2's bias applies (SPEC 2), else 0
  torch::Tensor outputs;      // [B, Q] int64: places in the row whose hidden states are wanted
  torch::Tensor selected;     // [N] int64: which of the B * Q are real, row by row
  int64_t max_feats = 0;      // F
  int64_t num_tokens = 0;     // real tokens of all rows, padding not counted

  int64_t batch() const { return tokens.size(0); }
  int64_t length() const { return tokens.size(1); }
};

/// Lays rows out side by side, each padded to the longest.
Sequences lay_out(std::span<const SequenceTree> rows, int64_t max_feats, torch::Device device);

}  // namespace bovila
