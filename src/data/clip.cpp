// Spans are Python slices of their videos; sampling sees their concatenation only.
#include "bovila/data/clip.h"

#include <algorithm>
#include <set>

#include "bovila/core/error.h"

namespace bovila {
namespace {

/// Rows [first, last) that a span has in its video; a missing video has one zero row.
struct Rows {
  int64_t first;
  int64_t count;
};

Rows rows_of(const FrameSpan& span, const std::optional<int64_t>& num_frames) {
  if (!num_frames) return {FrameChoice::kZeroRow, 1};
  const int64_t first = std::clamp<int64_t>(span.first, 0, *num_frames);
  const int64_t last = span.last == FrameSpan::kToEnd ? *num_frames : span.last;
  return {first, std::clamp<int64_t>(last, first, *num_frames) - first};
}

std::vector<std::optional<int64_t>> count_frames(const FeatureStore& features,
                                                 std::span<const FrameSpan> clip) {
  std::vector<std::optional<int64_t>> counts;
  for (const FrameSpan& span : clip) counts.push_back(features.num_frames(span.video));
  return counts;
}

}  // namespace

std::vector<FrameChoice> choose_frames(std::span<const FrameSpan> clip,
                                       std::span<const std::optional<int64_t>> num_frames,
                                       int64_t max_feats) {
  BOVILA_CHECK(clip.size() == num_frames.size() && max_feats > 0, "{} spans, {} videos, F = {}",
               clip.size(), num_frames.size(), max_feats);
  std::vector<Rows> rows;
  int64_t total = 0;
  for (size_t i = 0; i < clip.size(); ++i) {
    rows.push_back(rows_of(clip[i], num_frames[i]));
    total += rows.back().count;
  }
  std::vector<FrameChoice> chosen;
  size_t span = 0;
  int64_t passed = 0;  // rows of the spans before `span`
  for (int64_t j = 0; j < std::min(total, max_feats); ++j) {
    const int64_t wanted = total > max_feats ? j * total / max_feats : j;
    for (; wanted >= passed + rows[span].count; ++span) passed += rows[span].count;
    const bool missing = rows[span].first == FrameChoice::kZeroRow;
    chosen.push_back({static_cast<int64_t>(span),
                      missing ? FrameChoice::kZeroRow : rows[span].first + wanted - passed});
  }
  return chosen;
}

ClipRead read_clip(const FeatureStore& features, std::span<const FrameSpan> clip, int64_t max_feats,
                   std::span<float> out) {
  BOVILA_CHECK(std::ssize(out) == max_feats * kFeatureDim, "out has {} values", out.size());
  const auto counts = count_frames(features, clip);
  const std::vector<FrameChoice> chosen = choose_frames(clip, counts, max_feats);
  std::fill(out.begin(), out.end(), 0.0f);
  for (size_t i = 0; i < chosen.size();) {
    const int64_t span = chosen[i].span;
    const size_t begin = i;
    std::vector<int64_t> rows;
    for (; i < chosen.size() && chosen[i].span == span; ++i) rows.push_back(chosen[i].row);
    if (rows.front() == FrameChoice::kZeroRow) continue;
    features.read(clip[span].video, rows,
                  out.subspan(begin * kFeatureDim, rows.size() * kFeatureDim));
  }
  return {std::ssize(chosen), std::count(counts.begin(), counts.end(), std::nullopt)};
}

std::vector<std::string> find_missing_videos(const FeatureStore& features,
                                             std::span<const Sample> samples) {
  std::set<std::string> needed;
  for (const Sample& sample : samples) {
    for (const FrameSpan& span : sample.clip) needed.insert(span.video);
  }
  std::vector<std::string> missing;
  std::copy_if(needed.begin(), needed.end(), std::back_inserter(missing),
               [&](const std::string& video) { return !features.num_frames(video); });
  return missing;
}

}  // namespace bovila
