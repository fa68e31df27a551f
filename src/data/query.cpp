// A question, held against the data set, the features and the deck; all that is wrong is said at
// once.
#include "bovila/data/query.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bovila/core/counted.h"
#include "bovila/core/error.h"
#include "bovila/data/annotations.h"
#include "bovila/data/video_names.h"
#include "bovila/text/text.h"

namespace bovila {
namespace {

constexpr double kMaxClipSeconds = 1e7;

/// True when the value that a key has was refused: it is not missing then.
bool is_refused(const Query& query, std::string_view key) {
  return std::ranges::any_of(query.problems, [&](const std::string& problem) {
    return problem.starts_with(fmt::format("\"{}\":", key));
  });
}

void fill_in(Query& query, const QuestionForm& form, const FeatureStore& features) {
  if (strip(query.question).empty()) query.question = form.question;
  if (query.question.empty() && !is_refused(query, "question")) {
    query.problems.emplace_back("\"question\" is missing or blank");
  }
  if (!query.videos.empty()) return;
  if (features.num_videos() == 1) {
    query.videos = features.names();
  } else if (!is_refused(query, "video")) {
    query.problems.push_back(fmt::format("\"video\" is missing: the features are those of {}",
                                         counted(features.num_videos(), "video")));
  }
}

void check_options(Query& query) {
  const size_t count = query.options.size();
  if ((count >= kMinOptions && count <= kMaxOptions) || is_refused(query, "options")) return;
  query.problems.push_back(
      fmt::format("\"options\": expected {} to {} texts, got {}", kMinOptions, kMaxOptions, count));
}

/// Fills in query.missing: a problem when that is all of the videos, or some and not allowed.
void find_missing(Query& query, const FeatureStore& features) {
  std::ranges::copy_if(
      query.videos, std::back_inserter(query.missing),
      [&](const std::string& video) { return !features.num_frames(video).has_value(); });
  if (query.missing.empty()) return;
  const bool all = query.missing.size() == query.videos.size();
  if (!all && query.allow_missing) return;
  const auto names = features.names();
  const auto near = similar_name(query.missing.front(), names);
  query.problems.push_back(
      fmt::format("video \"{}\" has no features{}{}", query.missing.front(),
                  near.empty() ? "" : fmt::format("; is \"{}\" meant?", near),
                  all ? ""
                      : fmt::format(" ({} of the {} videos; with \"allow_missing\": true, or "
                                    "--allow-missing, zeros stand for such)",
                                    query.missing.size(), query.videos.size())));
}

/// What is wrong with the times of a clip, or "". `features`, where they are known, have a frame of
/// it.
std::string times_problem(const Query& query, int64_t frames_per_second,
                          const FeatureStore* features) {
  if (!query.start_s && !query.end_s) return "";
  if (!query.start_s || !query.end_s) return "\"start\" and \"end\" come together";
  if (query.videos.size() > 1) return "\"start\" and \"end\" are times in one video";
  const double start = *query.start_s, end = *query.end_s;
  if (!(start >= 0 && start <= end && end <= kMaxClipSeconds)) {
    return fmt::format("expected 0 <= \"start\" <= \"end\" in seconds, got {} to {}", start, end);
  }
  if (query.videos.empty() || features == nullptr) return "";
  const auto frames = features->num_frames(query.videos.front());
  if (!frames || frames_per_second * round_half_even(start) < *frames) return "";
  return fmt::format("the clip starts at {} s, video \"{}\" has {} frames, {} a second", start,
                     query.videos.front(), *frames, frames_per_second);
}

/// All frames of the videos, or those of the clip, of which there is one.
std::vector<FrameSpan> spans(const Query& query, int64_t frames_per_second) {
  if (query.start_s) {
    return {{query.videos.front(), frames_per_second * round_half_even(*query.start_s),
             frames_per_second * (round_half_even(*query.end_s) + 1)}};
  }
  std::vector<FrameSpan> all;
  for (const std::string& video : query.videos) all.push_back({video, 0, FrameSpan::kToEnd});
  return all;
}

/// "Caption: A man.\n", in one line; nothing of a blank text.
std::string line_of(std::string_view word, std::string said) {
  if (strip(said).empty()) return "";
  std::ranges::replace(said, '\n', ' ');
  return fmt::format("{}: {}\n", word, strip(said));
}

/// What a question says of itself, once nothing is wrong with it.
Sample to_sample(const Query& query, int64_t frames_per_second) {
  Sample sample;
  sample.video_id =
      query.name.empty() ? fmt::format("{}", fmt::join(query.videos, " ")) : query.name;
  sample.context = line_of("Caption", query.caption) + line_of("Context", query.context);
  sample.question = normalize_question(query.question);
  sample.options = query.options;
  sample.answer = query.answer;
  sample.types = query.types;
  sample.question_type = query.question_type;
  sample.clip = spans(query, frames_per_second);
  return sample;
}

}  // namespace

Sample sample_of(Query& query, int64_t frames_per_second, bool subtitles) {
  check_options(query);
  if (strip(query.question).empty() && !is_refused(query, "question")) {
    query.problems.emplace_back("\"question\" is missing or blank");
  }
  if (query.videos.empty() && !is_refused(query, "video")) {
    query.problems.emplace_back("\"video\" is missing");
  }
  const auto id = query.id.empty() ? nlohmann::json() : nlohmann::json::parse(query.id);
  if (!id.is_null() && !id.is_string() && !id.is_number_integer()) {
    query.problems.push_back(
        fmt::format("\"id\": expected a text or a whole number, got {}", id.type_name()));
  }
  if (auto problem = times_problem(query, frames_per_second, nullptr); !problem.empty()) {
    query.problems.push_back(std::move(problem));
  }
  if (!query.problems.empty()) throw UserError("{}", fmt::join(query.problems, "; "));
  Sample sample = to_sample(query, frames_per_second);
  sample.question_id = id.is_string() ? id.get<std::string>() : query.id;
  sample.about_dialogue = subtitles;
  if (subtitles) sample.dialogue = query.dialogue;
  return sample;
}

Sample make_sample(Query& query, const DataConfig& config, const FeatureStore& features) {
  const QuestionForm& form = *find_annotation_reader(config.dataset).form;
  const int64_t rate = config.frames_per_second.value_or(form.frames_per_second);
  fill_in(query, form, features);
  check_options(query);
  find_missing(query, features);
  if (auto problem = times_problem(query, rate, &features); !problem.empty()) {
    query.problems.push_back(std::move(problem));
  }
  if (query.dialogue && !config.subtitles) {
    query.problems.emplace_back(
        "a \"dialogue\" is given, and data.subtitles of the deck is false: the model was not "
        "trained with dialogues");
  }
  if (!query.problems.empty()) throw UserError("{}", fmt::join(query.problems, "; "));
  Sample sample = to_sample(query, rate);
  sample.about_dialogue = form.about_dialogue || config.subtitles;
  if (config.subtitles) sample.dialogue = form.dialogue(query.dialogue.value_or(""));
  return sample;
}

}  // namespace bovila
