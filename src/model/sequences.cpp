// Index bookkeeping of rows with shared prefixes.
#include "bovila/model/sequences.h"

#include <algorithm>
#include <numeric>

#include "bovila/core/error.h"
#include "bovila/model/device_copy.h"

namespace bovila {
namespace {

/// Tokens that all rows start with, before the first video slot and the first branch.
int64_t common_start(std::span<const SequenceTree> rows) {
  if (rows.size() == 1) return 0;
  const auto& first = rows.front().tokens;
  auto end = first.begin() + std::min(rows.front().video_start, rows.front().prefix_len);
  for (const SequenceTree& row : rows.subspan(1)) {
    const auto last = row.tokens.begin() + std::min(row.video_start, row.prefix_len);
    end = std::mismatch(first.begin(), end, row.tokens.begin(), last).first;
  }
  return end - first.begin();
}

bool share(std::span<const int32_t> one, std::span<const int32_t> other, int64_t count) {
  return std::ssize(one) >= count && std::ssize(other) >= count &&
         std::equal(one.begin(), one.begin() + count, other.begin());
}

/// What stands at each place of the rows, and where each row's own tokens begin.
std::vector<RowLayout> layouts_of(std::span<const SequenceTree> rows, int64_t max_feats,
                                  Sequences& out) {
  std::vector<RowLayout> layouts;
  int64_t next = out.num_shared;
  for (const SequenceTree& row : rows) {
    BOVILA_CHECK(row.video_start + max_feats <= row.prefix_len,
                 "the video's slots, {} to {}, reach beyond the {} tokens that all branches share",
                 row.video_start, row.video_start + max_feats, row.prefix_len);
    out.first_own.push_back(next);
    RowLayout layout{.tokens = std::vector<int64_t>(row.tokens.size()),
                     .positions = row.positions,
                     .branches = row.branches,
                     .stems = row.stems,
                     .prefix_len = row.prefix_len,
                     .video = {row.video_start, max_feats}};
    for (int64_t place = 0; place < row.size(); ++place) {
      layout.tokens[static_cast<size_t>(place)] =
          place < out.num_shared ? place : next + place - out.num_shared;
    }
    next += row.size() - out.num_shared;
    layouts.push_back(std::move(layout));
  }
  return layouts;
}

torch::Tensor to_device(const std::vector<int64_t>& values, torch::Device device) {
  return copy_to(torch::tensor(values, torch::kInt64), device);
}

}  // namespace

SequenceTree SequenceTree::chain(std::span<const int32_t> tokens, int64_t video_start) {
  const std::vector<int32_t> only(tokens.begin(), tokens.end());
  return shared(std::span(&only, 1), static_cast<int64_t>(only.size()), video_start);
}

SequenceTree SequenceTree::shared(std::span<const std::vector<int32_t>> sequences,
                                  int64_t prefix_len, int64_t video_start) {
  const SequenceGroup all{sequences, prefix_len};
  return grouped(std::span(&all, 1), prefix_len, video_start);
}

SequenceTree SequenceTree::grouped(std::span<const SequenceGroup> groups, int64_t prefix_len,
                                   int64_t video_start) {
  SequenceTree row;
  row.video_start = video_start;
  row.prefix_len = prefix_len;
  const auto& any = groups.front().sequences.front();
  row.append(any, 0, prefix_len, 0, 0);
  int64_t stem = 1;
  for (const SequenceGroup& group : groups) stem += std::ssize(group.sequences);
  for (const SequenceGroup& group : groups) {
    const auto& first = group.sequences.front();
    const int64_t place = row.size();
    const bool has_stem = group.stem_end > prefix_len;
    if (has_stem) row.append(first, prefix_len, group.stem_end, stem, 0);
    for (const auto& sequence : group.sequences) {
      BOVILA_CHECK(share(sequence, any, prefix_len) && share(sequence, first, group.stem_end),
                   "sequence {} does not share the prefix of {} tokens, or its group's of {}",
                   row.starts_.size(), prefix_len, group.stem_end);
      row.starts_.push_back({row.size(), group.stem_end, place});
      row.append(sequence, group.stem_end, std::ssize(sequence), std::ssize(row.starts_),
                 has_stem ? stem : 0);
    }
    ++stem;
  }
  return row;
}

void SequenceTree::append(std::span<const int32_t> sequence, int64_t first, int64_t last,
                          int64_t branch, int64_t stem) {
  for (int64_t p = first; p < last; ++p) {
    tokens.push_back(sequence[static_cast<size_t>(p)]);
    positions.push_back(p);
    branches.push_back(branch);
    stems.push_back(stem);
  }
}

int64_t SequenceTree::index(int64_t branch, int64_t position) const {
  if (position < prefix_len) return position;
  const Branch& start = starts_[static_cast<size_t>(branch)];
  if (position < start.position) return start.stem + position - prefix_len;
  return start.place + position - start.position;
}

void SequenceTree::want(int64_t branch, int64_t first, int64_t count) {
  for (int64_t p = first; p < first + count; ++p) outputs.push_back(index(branch, p));
}

Sequences lay_out(std::span<const SequenceTree> rows, int64_t max_feats, torch::Device device) {
  BOVILA_CHECK(!rows.empty(), "a pass needs at least one row");
  Sequences out;
  out.num_shared = common_start(rows);
  const auto layouts = layouts_of(rows, max_feats, out);
  const auto& front = rows.front();
  std::vector<int64_t> tokens(front.tokens.begin(), front.tokens.begin() + out.num_shared);
  std::vector<int64_t> positions(front.positions.begin(), front.positions.begin() + out.num_shared);
  std::vector<int64_t> video_slots, asked;
  for (size_t b = 0; b < rows.size(); ++b) {
    const SequenceTree& row = rows[b];
    tokens.insert(tokens.end(), row.tokens.begin() + out.num_shared, row.tokens.end());
    positions.insert(positions.end(), row.positions.begin() + out.num_shared, row.positions.end());
    const auto index = static_cast<int64_t>(b);
    for (int64_t f = 0; f < max_feats; ++f) {
      video_slots.push_back(out.token(index, row.video_start + f));
    }
    for (const int64_t place : row.outputs) asked.push_back(out.token(index, place));
  }
  std::vector<int64_t> every(tokens.size()), wanted = asked;
  std::iota(every.begin(), every.end(), 0);
  std::ranges::sort(wanted);
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  std::vector<int64_t> selected;
  selected.reserve(asked.size());
  for (const int64_t token : asked) {
    selected.push_back(std::ranges::lower_bound(wanted, token) - wanted.begin());
  }
  out.tokens = to_device(tokens, device);
  out.positions = to_device(positions, device);
  out.video_slots = to_device(video_slots, device);
  out.outputs = to_device(wanted, device);
  out.selected = to_device(selected, device);
  const auto scope_of = [&](const std::vector<int64_t>& queries) {
    return device.is_cpu() ? ragged_scope(layouts, out.num_shared, queries)
                           : padded_scope(layouts, out.num_shared, queries, device);
  };
  out.every = scope_of(every);
  out.wanted = scope_of(wanted);
  return out;
}

}  // namespace bovila
