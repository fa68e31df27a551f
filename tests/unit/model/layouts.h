// Rows of a pass as scopes are built from, for the tests that compare ragged with padded ones.
#pragma once

#include <vector>

#include "bovila/model/sequences.h"

namespace bovila::testing {

inline std::vector<RowLayout> layouts_of(std::span<const SequenceTree> rows, const Sequences& pass,
                                         int64_t max_feats) {
  std::vector<RowLayout> layouts;
  for (size_t b = 0; b < rows.size(); ++b) {
    const SequenceTree& row = rows[b];
    RowLayout layout{{},        row.positions,  row.branches,
                     row.stems, row.prefix_len, {row.video_start, max_feats}};
    for (int64_t place = 0; place < row.size(); ++place) {
      layout.tokens.push_back(pass.token(static_cast<int64_t>(b), place));
    }
    layouts.push_back(std::move(layout));
  }
  return layouts;
}

}  // namespace bovila::testing
