// Spans are Python slices of their videos; sampling sees their concatenation only.
#include "bovila/data/clip.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "bovila/core/error.h"

namespace bovila {
namespace {

constexpr std::string_view kVideoEndings[] = {".mp4", ".mkv", ".webm", ".avi", ".mov", ".gif"};

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

std::vector<FrameChoice> choose_frames(const FeatureStore& features,
                                       std::span<const FrameSpan> clip, int64_t max_feats) {
  return choose_frames(clip, count_frames(features, clip), max_feats);
}

void read_frames(const FeatureStore& features, std::span<const FrameSpan> clip,
                 std::span<const FrameChoice> chosen, std::span<float> out) {
  const auto dim = static_cast<size_t>(features.dim());
  BOVILA_CHECK(out.size() >= chosen.size() * dim, "out has {} values", out.size());
  std::fill(out.begin(), out.end(), 0.0f);
  for (size_t i = 0; i < chosen.size();) {
    const int64_t span = chosen[i].span;
    const size_t begin = i;
    std::vector<int64_t> rows;  // the store reads ascending ones at once
    while (i < chosen.size() && chosen[i].span == span &&
           (rows.empty() || chosen[i].row > rows.back())) {
      rows.push_back(chosen[i++].row);
    }
    if (rows.front() == FrameChoice::kZeroRow) continue;
    features.read(clip[static_cast<size_t>(span)].video, rows,
                  out.subspan(begin * dim, rows.size() * dim));
  }
}

ClipRead read_clip(const FeatureStore& features, std::span<const FrameSpan> clip, int64_t max_feats,
                   std::span<float> out) {
  const auto dim = static_cast<size_t>(features.dim());
  BOVILA_CHECK(out.size() == static_cast<size_t>(max_feats) * dim, "out has {} values", out.size());
  const auto counts = count_frames(features, clip);
  const std::vector<FrameChoice> chosen = choose_frames(clip, counts, max_feats);
  read_frames(features, clip, chosen, out);
  return {std::ssize(chosen), std::count(counts.begin(), counts.end(), std::nullopt)};
}

void normalize(std::span<float> frames, int64_t dim) {
  const auto width = static_cast<size_t>(dim);
  for (size_t at = 0; at < frames.size(); at += width) {
    const auto frame = frames.subspan(at, width);
    double square = 0;
    for (const float value : frame) square += static_cast<double>(value) * value;
    if (square == 0) continue;
    const double length = std::sqrt(square);
    for (float& value : frame) value = static_cast<float>(value / length);
  }
}

void name_as_stored(const FeatureStore& features, std::vector<Sample>& samples) {
  for (Sample& sample : samples) {
    for (FrameSpan& span : sample.clip) {
      const size_t dot = span.video.rfind('.');
      if (dot == std::string::npos ||
          std::ranges::count(kVideoEndings, std::string_view(span.video).substr(dot)) == 0 ||
          features.num_frames(span.video)) {
        continue;
      }
      if (auto stem = span.video.substr(0, dot); features.num_frames(stem)) span.video = stem;
    }
  }
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
