// Ragged: runs of tokens with the same view. Padded: rows side by side and a mask.
#include "bovila/model/attention_scope.h"

#include <algorithm>
#include <limits>
#include <map>

#include "bovila/core/error.h"
#include "bovila/model/device_copy.h"

namespace bovila {
namespace {

constexpr float kUnseen = -std::numeric_limits<float>::infinity();

/// Tokens in a row; those of `keys` that they see besides themselves; the video's columns.
struct Run {
  IndexRange tokens;
  std::vector<IndexRange> keys;
  IndexRange video;
  int64_t first_after = 0;
};

/// Adds a range of tokens, to the last one where they follow it.
void append(std::vector<IndexRange>& keys, IndexRange next) {
  if (next.count == 0) return;
  if (!keys.empty() && keys.back().end() == next.first) {
    keys.back().count += next.count;
  } else {
    keys.push_back(next);
  }
}

/// The run of places [first, end) of a row behind its keys.
Run make_run(const RowLayout& row, int64_t first, int64_t end, std::vector<IndexRange> keys) {
  const IndexRange own{row.tokens[static_cast<size_t>(first)], end - first};
  const int64_t after = std::clamp<int64_t>(
      row.video.end() - row.positions[static_cast<size_t>(first)], 0, own.count);
  append(keys, own);
  return {own, std::move(keys), row.video, after};
}

void append_runs(const RowLayout& row, int64_t num_shared, std::vector<Run>& runs) {
  const auto size = static_cast<int64_t>(row.tokens.size());
  std::vector<IndexRange> keys;
  append(keys, {0, num_shared});
  if (row.prefix_len > num_shared) {
    runs.push_back(make_run(row, num_shared, row.prefix_len, keys));
    append(keys, runs.back().tokens);
  }
  std::map<int64_t, IndexRange> of_branch = {{0, {}}};
  for (int64_t first = row.prefix_len; first < size;) {
    const int64_t branch = row.branches[static_cast<size_t>(first)];
    int64_t end = first;
    while (end < size && row.branches[static_cast<size_t>(end)] == branch) ++end;
    auto seen = keys;
    append(seen, of_branch.at(row.stems[static_cast<size_t>(first)]));
    runs.push_back(make_run(row, first, end, std::move(seen)));
    of_branch[branch] = runs.back().tokens;
    first = end;
  }
}

/// The queries among a run's tokens, and what they see.
AttentionSegment segment_of(const Run& run, std::span<const int64_t> queries) {
  const auto first = std::ranges::lower_bound(queries, run.tokens.first);
  const auto last = std::ranges::lower_bound(queries, run.tokens.end());
  AttentionSegment segment{.queries = {first - queries.begin(), last - first},
                           .keys = run.keys,
                           .mask = {},
                           .video = run.video,
                           .first_after = 0};
  const int64_t num_keys = total_count(run.keys);
  segment.mask = torch::zeros({segment.queries.count, num_keys});
  float* row = segment.mask.data_ptr<float>();
  for (auto query = first; query != last; ++query, row += num_keys) {
    const int64_t place = *query - run.tokens.first;
    std::fill(row + num_keys - run.tokens.count + place + 1, row + num_keys, kUnseen);
    if (place < run.first_after) ++segment.first_after;
  }
  return segment;
}

/// [B, width] of host numbers, row by row.
torch::Tensor padded(std::span<const std::vector<int64_t>> rows, int64_t width, int64_t fill,
                     torch::Device device) {
  auto out = torch::full({static_cast<int64_t>(rows.size()), width}, fill, torch::kInt64);
  int64_t* at = out.data_ptr<int64_t>();
  for (const auto& row : rows) {
    std::ranges::copy(row, at);
    at += width;
  }
  return copy_to(out, device);
}

int64_t longest(std::span<const std::vector<int64_t>> rows) {
  size_t width = 0;
  for (const auto& row : rows) width = std::max(width, row.size());
  return static_cast<int64_t>(width);
}

/// `tokens` of each row as indices into a list of `count`, of which those before `num_shared` stand
/// in every row.
PaddedRows pad(std::span<const std::vector<int64_t>> tokens, int64_t count, int64_t num_shared,
               torch::Device device) {
  const int64_t width = longest(tokens);
  std::vector<int64_t> homes(static_cast<size_t>(count));
  for (size_t b = tokens.size(); b-- > 0;) {
    for (size_t i = 0; i < tokens[b].size(); ++i) {
      homes[static_cast<size_t>(tokens[b][i])] =
          static_cast<int64_t>(b) * width + static_cast<int64_t>(i);
    }
  }
  return {padded(tokens, width, 0, device).flatten(),
          copy_to(torch::tensor(homes, torch::kInt64), device), static_cast<int64_t>(tokens.size()),
          num_shared};
}

}  // namespace

int64_t total_count(std::span<const IndexRange> ranges) {
  int64_t count = 0;
  for (const IndexRange& range : ranges) count += range.count;
  return count;
}

AttentionScope ragged_scope(std::span<const RowLayout> rows, int64_t num_shared,
                            std::span<const int64_t> queries) {
  std::vector<Run> runs;
  if (num_shared > 0) runs.push_back({{0, num_shared}, {{0, num_shared}}, {}, 0});
  for (const RowLayout& row : rows) append_runs(row, num_shared, runs);
  std::vector<AttentionSegment> segments;
  for (const Run& run : runs) {
    auto segment = segment_of(run, queries);
    if (segment.queries.count > 0) segments.push_back(std::move(segment));
  }
  return {.segments = std::make_shared<const std::vector<AttentionSegment>>(std::move(segments)),
          .queries = {},
          .keys = {},
          .mask = {},
          .after_video = {}};
}

AttentionScope padded_scope(std::span<const RowLayout> rows, int64_t num_shared,
                            std::span<const int64_t> queries, torch::Device device) {
  std::vector<std::vector<int64_t>> keys, asked, places, positions, branches, stems, key_branches;
  std::vector<int64_t> video_start;
  int64_t num_tokens = 0, shared_queries = 0;
  for (const int64_t query : queries) shared_queries += query < num_shared;
  for (const RowLayout& row : rows) {
    keys.push_back(row.tokens);
    key_branches.push_back(row.branches);
    video_start.push_back(row.video.first);
    for (auto* list : {&asked, &places, &positions, &branches, &stems}) list->emplace_back();
    for (size_t place = 0; place < row.tokens.size(); ++place) {
      num_tokens = std::max(num_tokens, row.tokens[place] + 1);
      const auto found = std::ranges::lower_bound(queries, row.tokens[place]);
      if (found == queries.end() || *found != row.tokens[place]) continue;
      asked.back().push_back(found - queries.begin());
      places.back().push_back(static_cast<int64_t>(place));
      positions.back().push_back(row.positions[place]);
      branches.back().push_back(row.branches[place]);
      stems.back().push_back(row.stems[place]);
    }
  }
  const int64_t num_keys = longest(keys), num_queries = longest(asked);
  AttentionScope scope;
  scope.keys = pad(keys, num_tokens, num_shared, device);
  scope.queries = pad(asked, std::ssize(queries), shared_queries, device);

  // A padded query sees the first key, which keeps its softmax finite; nobody sees a padded key.
  constexpr int64_t kPadding = -1;
  const auto key_place =
      torch::arange(num_keys, torch::TensorOptions(torch::kInt64).device(device));
  const auto key_branch = padded(key_branches, num_keys, kPadding, device).unsqueeze(1);
  const auto place = padded(places, num_queries, 0, device).unsqueeze(2);
  const auto branch = padded(branches, num_queries, 0, device).unsqueeze(2);
  const auto stem = padded(stems, num_queries, 0, device).unsqueeze(2);
  const auto is_before = (key_branch == 0) | (key_branch == branch) | (key_branch == stem);
  const auto allowed = (place >= key_place) & is_before;
  scope.mask = torch::zeros(allowed.sizes(), torch::TensorOptions(torch::kFloat32).device(device))
                   .masked_fill_(~allowed, kUnseen)
                   .unsqueeze(1);
  const auto start = copy_to(torch::tensor(video_start, torch::kInt64), device).view({-1, 1, 1});
  const int64_t frames = rows.front().video.count;
  const auto video_key = (key_place >= start) & (key_place < start + frames);
  const auto later = padded(positions, num_queries, 0, device).unsqueeze(2) >= start + frames;
  scope.after_video = (video_key & later).to(torch::kFloat32).unsqueeze(1);
  return scope;
}

}  // namespace bovila
