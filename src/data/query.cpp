// Strict on what is given, so that a typing error is not answered; all that is wrong is said at
// once.
#include "bovila/data/query.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bovila/config/problems.h"
#include "bovila/core/counted.h"
#include "bovila/core/error.h"
#include "bovila/core/json_depth.h"
#include "bovila/core/json_reason.h"
#include "bovila/core/utf8.h"
#include "bovila/data/annotations.h"
#include "bovila/data/video_names.h"
#include "bovila/text/text.h"

namespace bovila {
namespace {

using nlohmann::json;

constexpr std::string_view kKeys[] = {"video", "question", "options",       "start",
                                      "end",   "dialogue", "allow_missing", "id"};
struct OtherName {
  std::string_view theirs, ours;
};
constexpr OtherName kOtherNames[] = {{"candidates", "options"},
                                     {"choices", "options"},
                                     {"answers", "options"},
                                     {"events", "options"},
                                     {"vid", "video"},
                                     {"vid_name", "video"},
                                     {"video_id", "video"},
                                     {"video_name", "video"},
                                     {"clip", "video"},
                                     {"q", "question"},
                                     {"que", "question"},
                                     {"query", "question"},
                                     {"prompt", "question"},
                                     {"subtitle", "dialogue"},
                                     {"subtitles", "dialogue"},
                                     {"sub", "dialogue"},
                                     {"qid", "id"},
                                     {"question_id", "id"}};
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

/// Reads values and gathers what is wrong with them.
class LineReader {
 public:
  LineReader(const json& fields, std::vector<std::string>& problems)
      : fields_(fields), problems_(problems) {}

  void read_text(const char* key, std::string& out) {
    if (const json* value = given(fields_, key)) take_text(*value, key, out);
  }
  void read_text(const char* key, std::optional<std::string>& out) {
    if (given(fields_, key) != nullptr) read_text(key, out.emplace());
  }
  void read_texts(const char* key, std::vector<std::string>& out) {
    const json* value = given(fields_, key);
    if (value == nullptr) return;
    if (!value->is_array()) return expected(key, "a list of texts", *value);
    for (const json& item : *value) {
      if (!take_text(item, key, out.emplace_back())) return;
    }
  }
  /// A text, or a list of them.
  void read_videos(std::vector<std::string>& out) {
    const json* value = given(fields_, "video");
    if (value == nullptr) return;
    if (value->is_array()) return read_texts("video", out);
    if (!take_text(*value, "video", out.emplace_back())) out.clear();
  }
  void read_seconds(const char* key, std::optional<double>& out) {
    const json* value = given(fields_, key);
    if (value == nullptr) return;
    if (!value->is_number()) return expected(key, "a number of seconds", *value);
    out = value->get<double>();
  }
  void read_flag(const char* key, bool& out) {
    const json* value = given(fields_, key);
    if (value == nullptr) return;
    if (!value->is_boolean()) return expected(key, "true or false", *value);
    out = value->get<bool>();
  }
  void check_keys() {
    for (const auto& [key, value] : fields_.items()) {
      if (std::ranges::count(kKeys, key) > 0) continue;
      const std::string_view meant = meant_key(key);
      problems_.push_back(fmt::format(
          "unknown key \"{}\"{}; a question has {}", to_valid_utf8(key.substr(0, kMaxShownKey)),
          meant.empty() ? "" : fmt::format(", is \"{}\" meant?", meant), fmt::join(kKeys, ", ")));
      if (problems_.size() > kMaxProblems) return;
    }
  }

 private:
  static constexpr size_t kMaxShownKey = 60, kMaxProblems = 10;

  /// By what other tools and data sets call it, else by spelling.
  static std::string_view meant_key(const std::string& key) {
    const auto other = std::ranges::find(kOtherNames, key, &OtherName::theirs);
    if (other != std::end(kOtherNames)) return other->ours;
    return nearest(key, {std::begin(kKeys), std::end(kKeys)});
  }
  void expected(const char* key, const char* what, const json& value) {
    problems_.push_back(fmt::format("\"{}\": expected {}, got {}", key, what, value.type_name()));
  }
  bool take_text(const json& value, const char* key, std::string& out) {
    if (!value.is_string()) {
      expected(key, "a text", value);
      return false;
    }
    out = value.get<std::string>();
    return true;
  }

  const json& fields_;
  std::vector<std::string>& problems_;
};

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

/// What is wrong with the times of a clip, or "".
std::string times_problem(const Query& query, int64_t frames_per_second,
                          const FeatureStore& features) {
  if (!query.start_s && !query.end_s) return "";
  if (!query.start_s || !query.end_s) return "\"start\" and \"end\" come together";
  if (query.videos.size() > 1) return "\"start\" and \"end\" are times in one video";
  const double start = *query.start_s, end = *query.end_s;
  if (!(start >= 0 && start <= end && end <= kMaxClipSeconds)) {
    return fmt::format("expected 0 <= \"start\" <= \"end\" in seconds, got {} to {}", start, end);
  }
  if (query.videos.empty()) return "";
  const auto frames = features.num_frames(query.videos.front());
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

}  // namespace

void parse_query(std::string_view line, Query& query) {
  const json fields = parse_object(line);
  if (const json* id = given(fields, "id")) query.id = id->dump();
  LineReader reader(fields, query.problems);
  reader.check_keys();
  reader.read_videos(query.videos);
  reader.read_text("question", query.question);
  reader.read_texts("options", query.options);
  reader.read_seconds("start", query.start_s);
  reader.read_seconds("end", query.end_s);
  reader.read_text("dialogue", query.dialogue);
  reader.read_flag("allow_missing", query.allow_missing);
}

Sample make_sample(Query& query, const DataConfig& config, const FeatureStore& features) {
  const QuestionForm& form = *find_annotation_reader(config.dataset).form;
  fill_in(query, form, features);
  check_options(query);
  find_missing(query, features);
  if (auto problem = times_problem(query, form.frames_per_second, features); !problem.empty()) {
    query.problems.push_back(std::move(problem));
  }
  if (query.dialogue && !config.subtitles) {
    query.problems.emplace_back(
        "a \"dialogue\" is given, and data.subtitles of the deck is false: the model was not "
        "trained with dialogues");
  }
  if (!query.problems.empty()) throw UserError("{}", fmt::join(query.problems, "; "));
  Sample sample;
  sample.video_id = fmt::format("{}", fmt::join(query.videos, " "));
  sample.question = normalize_question(query.question);
  sample.options = query.options;
  sample.about_dialogue = form.about_dialogue;
  if (config.subtitles) sample.dialogue = form.dialogue(query.dialogue.value_or(""));
  sample.clip = spans(query, form.frames_per_second);
  return sample;
}

}  // namespace bovila
