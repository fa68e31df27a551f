// Counting, and the two messages.
#include "bovila/data/coverage.h"

#include <algorithm>
#include <set>

#include "bovila/core/counted.h"
#include "bovila/core/error.h"
#include "bovila/data/clip.h"
#include "bovila/data/video_names.h"
#include "bovila/text/text.h"

namespace bovila {
namespace {

/// All its videos have features, and none of their frames is in the clip.
bool is_past_end(const Sample& sample, const FeatureStore& features) {
  return !sample.clip.empty() && std::ranges::all_of(sample.clip, [&](const FrameSpan& span) {
    const auto frames = features.num_frames(span.video);
    return frames && span.first >= *frames;
  });
}

bool is_most(int64_t part, int64_t all, double max_share) {
  return static_cast<double>(part) > max_share * static_cast<double>(all);
}

}  // namespace

Coverage measure_coverage(const std::string& split, std::span<const Sample> samples,
                          const FeatureStore* features, bool subtitles) {
  Coverage out;
  out.split = split;
  out.num_questions = std::ssize(samples);
  std::set<std::string_view> videos;
  for (const Sample& sample : samples) {
    for (const FrameSpan& span : sample.clip) videos.insert(span.video);
    const bool is_silent = !sample.dialogue || strip(*sample.dialogue).empty();
    if (subtitles && is_silent) ++out.num_without_dialogue;
    if (features == nullptr || !is_past_end(sample, *features)) continue;
    if (out.num_past_end++ == 0) out.first_past_end = sample.question_id;
  }
  out.num_videos = std::ssize(videos);
  if (features != nullptr) out.missing = find_missing_videos(*features, samples);
  return out;
}

std::vector<std::string> gaps_text(const Coverage& coverage) {
  std::vector<std::string> lines;
  if (!coverage.missing.empty()) {
    const bool is_one = coverage.missing.size() == 1;
    lines.push_back(fmt::format("{} {} no features, zeros stand for {}: {}",
                                counted(coverage.missing.size(), "video"), is_one ? "has" : "have",
                                is_one ? "it" : "them", first_names(coverage.missing)));
  }
  if (coverage.num_past_end > 0) {
    lines.push_back(fmt::format("{} behind the last frame of {}, zeros stand for {}: question {}{}",
                                coverage.num_past_end == 1
                                    ? "1 clip begins"
                                    : fmt::format("{} clips begin", coverage.num_past_end),
                                coverage.num_past_end == 1 ? "its video" : "their videos",
                                coverage.num_past_end == 1 ? "it" : "them", coverage.first_past_end,
                                coverage.num_past_end == 1 ? "" : " the first"));
  }
  if (coverage.num_without_dialogue > 0) {
    lines.push_back(fmt::format("{} of {} without any dialogue in the clip",
                                coverage.num_without_dialogue,
                                counted(coverage.num_questions, "question")));
  }
  return lines;
}

void require_features(const Coverage& coverage, const FeatureStore& features, double max_missing,
                      const std::string& folder) {
  if (is_most(std::ssize(coverage.missing), coverage.num_videos, max_missing)) {
    const std::string reason = explain_missing(coverage.missing, features.names());
    throw UserError(
        "{} of {} of the split '{}' have no features in {} ({}). {}. Convert them again under the "
        "annotations' names, or name another feature set; data.max_missing = 1 takes zeros for "
        "them",
        coverage.missing.size(), counted(coverage.num_videos, "video"), coverage.split, folder,
        first_names(coverage.missing),
        reason.empty() ? fmt::format("It has others ({})", first_names(features.names())) : reason);
  }
  if (is_most(coverage.num_past_end, coverage.num_questions, max_missing)) {
    throw UserError(
        "{} of {} of the split '{}' are about clips that begin behind the last frame of their "
        "videos in {}, question '{}' the first: the features have fewer frames a second than the "
        "data set's. Extract them again; data.max_missing = 1 takes zeros for them",
        coverage.num_past_end, counted(coverage.num_questions, "question"), coverage.split, folder,
        coverage.first_past_end);
  }
}

}  // namespace bovila
