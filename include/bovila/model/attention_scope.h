// Who attends to whom in one pass, in the form that the device's attention reads.
// Fed by model/sequences.h; feeds model/adapter_attention.h.
//
// On a CPU, ragged: one entry for each run of tokens that see the same earlier tokens. No padding
// is computed, and branches do not meet. On a GPU, where many small products are slow, padded: rows
// side by side with a mask.
//
// Legend: B rows, T tokens of the pass, Q querying tokens, S and R most keys and queries of a row.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "bovila/dist/libtorch.h"

namespace bovila {

struct IndexRange {
  int64_t first = 0, count = 0;

  int64_t end() const { return first + count; }
};

/// Of all of them together.
int64_t total_count(std::span<const IndexRange> ranges);

/// One row of a pass: `tokens[i]` is what stands at its place i, as an index into the pass's
/// tokens. Places [0, prefix_len) are seen by all later ones, those behind by the rest of their
/// branch and by branches whose stem that is (SequenceTree).
struct RowLayout {
  std::vector<int64_t> tokens, positions, branches, stems;
  int64_t prefix_len = 0;
  IndexRange video;  ///< places of the video's slots, all in the prefix
};

/// Queries that see the same keys, the last of them causally.
struct AttentionSegment {
  IndexRange queries;            ///< in the list of queries
  std::vector<IndexRange> keys;  ///< tokens, in the order of the mask's columns
  torch::Tensor mask;            ///< [queries, keys] fp32: 0 or -inf
  IndexRange video;         ///< columns of the video's keys; none in a segment that sees no video
  int64_t first_after = 0;  ///< the first query behind the video: from here on gate2 is added
};

/// Tokens of a pass put side by side, row by row.
struct PaddedRows {
  torch::Tensor places;    // [B * R] int64: which token stands there; any where nothing does
  torch::Tensor homes;     // [Q] int64: the place of each token, the first of several
  int64_t num_rows = 0;    // B
  int64_t num_shared = 0;  // tokens that stand in every row, at its first places
};

struct AttentionScope {
  /// Ragged; null in a padded one.
  std::shared_ptr<const std::vector<AttentionSegment>> segments;

  /// Padded.
  PaddedRows queries, keys;
  torch::Tensor mask;         // [B, 1, R, S] fp32, added to the scores
  torch::Tensor after_video;  // [B, 1, R, S] fp32, where gate2 is added
};

/// The scope of a pass whose first `num_shared` tokens stand at the same places of every row.
/// `queries`: the tokens that query, ascending.
AttentionScope ragged_scope(std::span<const RowLayout> rows, int64_t num_shared,
                            std::span<const int64_t> queries);
/// The same for a device that prefers few large products.
AttentionScope padded_scope(std::span<const RowLayout> rows, int64_t num_shared,
                            std::span<const int64_t> queries, torch::Device device);

}  // namespace bovila
