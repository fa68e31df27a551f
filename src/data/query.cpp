// Strict on what is given, so that a typing error is not answered.
#include "bovila/data/query.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bovila/config/problems.h"
#include "bovila/core/counted.h"
#include "bovila/core/error.h"
#include "bovila/core/json_depth.h"
#include "bovila/core/json_reason.h"
#include "bovila/data/annotations.h"
#include "bovila/text/text.h"

namespace bovila {
namespace {

using nlohmann::json;

constexpr std::string_view kKeys[] = {"video", "question", "options",       "start",
                                      "end",   "dialogue", "allow_missing", "id"};
constexpr size_t kMinOptions = 2, kMaxOptions = 26;  // letters A to Z
constexpr double kMaxClipSeconds = 1e7;

json parse_object(std::string_view text) {
  if (is_deep_json(text)) {
    throw UserError("lists or objects more than {} deep in one another", kMaxJsonDepth);
  }
  json fields;
  try {
    fields = json::parse(text);
  } catch (const json::exception& error) {
    throw UserError("not JSON: {}", json_reason(error.what(), /*is_one_line=*/true));
  }
  if (fields.is_object()) return fields;
  throw UserError("expected an object ({{...}}), got {}", fields.type_name());
}

const json* given(const json& fields, const char* key) {
  const auto found = fields.find(key);
  return found == fields.end() || found->is_null() ? nullptr : &*found;
}

std::string text(const json& value, const char* key) {
  if (value.is_string()) return value.get<std::string>();
  throw UserError("\"{}\": expected a text, got {}", key, value.type_name());
}

std::vector<std::string> texts(const json& value, const char* key) {
  if (!value.is_array()) {
    throw UserError("\"{}\": expected a list of texts, got {}", key, value.type_name());
  }
  std::vector<std::string> out;
  for (const json& item : value) out.push_back(text(item, key));
  return out;
}

double seconds(const json& value, const char* key) {
  if (value.is_number()) return value.get<double>();
  throw UserError("\"{}\": expected a number of seconds, got {}", key, value.type_name());
}

bool flag(const json& value, const char* key) {
  if (value.is_boolean()) return value.get<bool>();
  throw UserError("\"{}\": expected true or false, got {}", key, value.type_name());
}

void check_keys(const json& fields) {
  for (const auto& [key, value] : fields.items()) {
    if (std::ranges::count(kKeys, key) > 0) continue;
    throw UserError("unknown key \"{}\"; a question has {}", key, fmt::join(kKeys, ", "));
  }
}

void fill_in(Query& query, const QuestionForm& form, const FeatureStore& features) {
  if (strip(query.question).empty()) query.question = form.question;
  if (query.question.empty()) throw UserError("\"question\" is missing or blank");
  if (!query.videos.empty()) return;
  if (features.num_videos() != 1) {
    throw UserError("\"video\" is missing: the features are those of {}",
                    counted(features.num_videos(), "video"));
  }
  query.videos = features.names();
}

/// Fills in query.missing. @throws UserError when that is all of them, or some and not allowed.
void find_missing(Query& query, const FeatureStore& features) {
  std::ranges::copy_if(
      query.videos, std::back_inserter(query.missing),
      [&](const std::string& video) { return !features.num_frames(video).has_value(); });
  if (query.missing.empty()) return;
  const bool all = query.missing.size() == query.videos.size();
  if (!all && query.allow_missing) return;
  const auto& first = query.missing.front();
  const auto names = features.names();
  const auto near = nearest(first, {names.begin(), names.end()});
  throw UserError("video \"{}\" has no features{}{}", first,
                  near.empty() ? "" : fmt::format("; is \"{}\" meant?", near),
                  all ? ""
                      : fmt::format(" ({} of the {} videos; with \"allow_missing\": true, or "
                                    "--allow-missing, zeros stand for such)",
                                    query.missing.size(), query.videos.size()));
}

/// All frames of the videos, or those of the clip, of which there must be one.
std::vector<FrameSpan> spans(const Query& query, int64_t frames_per_second,
                             const FeatureStore& features) {
  const auto& videos = query.videos;
  if (!query.start_s && !query.end_s) {
    std::vector<FrameSpan> all;
    all.reserve(videos.size());
    for (const std::string& video : videos) all.push_back({video, 0, FrameSpan::kToEnd});
    return all;
  }
  if (!query.start_s || !query.end_s) throw UserError("\"start\" and \"end\" come together");
  if (videos.size() > 1) throw UserError("\"start\" and \"end\" are times in one video");
  const double start = *query.start_s, end = *query.end_s;
  if (!(start >= 0 && start <= end && end <= kMaxClipSeconds)) {
    throw UserError("expected 0 <= \"start\" <= \"end\" in seconds, got {} to {}", start, end);
  }
  const int64_t first = frames_per_second * round_half_even(start);
  const int64_t frames = *features.num_frames(videos.front());
  if (first >= frames) {
    throw UserError("the clip starts at {} s, video \"{}\" has {} frames, {} a second", start,
                    videos.front(), frames, frames_per_second);
  }
  return {{videos.front(), first, frames_per_second * (round_half_even(end) + 1)}};
}

std::optional<std::string> dialogue(const Query& query, const DataConfig& config,
                                    const QuestionForm& form) {
  if (config.subtitles) return form.dialogue(query.dialogue.value_or(""));
  if (!query.dialogue) return {};
  throw UserError(
      "a \"dialogue\" is given, and data.subtitles of the deck is false: the model was "
      "not trained with dialogues");
}

}  // namespace

void parse_query(std::string_view line, Query& query) {
  const json fields = parse_object(line);
  if (const json* id = given(fields, "id")) query.id = id->dump();
  check_keys(fields);
  if (const json* video = given(fields, "video")) {
    query.videos = video->is_array() ? texts(*video, "video")
                                     : std::vector<std::string>{text(*video, "video")};
  }
  if (const json* question = given(fields, "question"))
    query.question = text(*question, "question");
  if (const json* options = given(fields, "options")) query.options = texts(*options, "options");
  if (const json* start = given(fields, "start")) query.start_s = seconds(*start, "start");
  if (const json* end = given(fields, "end")) query.end_s = seconds(*end, "end");
  if (const json* said = given(fields, "dialogue")) query.dialogue = text(*said, "dialogue");
  if (const json* allow = given(fields, "allow_missing"))
    query.allow_missing = flag(*allow, "allow_missing");
}

Sample make_sample(Query& query, const DataConfig& config, const FeatureStore& features) {
  const QuestionForm& form = *find_annotation_reader(config.dataset).form;
  fill_in(query, form, features);
  if (query.options.size() < kMinOptions || query.options.size() > kMaxOptions) {
    throw UserError("\"options\": expected {} to {} texts, got {}", kMinOptions, kMaxOptions,
                    query.options.size());
  }
  find_missing(query, features);
  Sample sample;
  sample.video_id = fmt::format("{}", fmt::join(query.videos, " "));
  sample.question = normalize_question(query.question);
  sample.options = query.options;
  sample.about_dialogue = form.about_dialogue;
  sample.dialogue = dialogue(query, config, form);
  sample.clip = spans(query, form.frames_per_second, features);
  return sample;
}

}  // namespace bovila
