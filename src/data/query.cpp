// Strict on what is given, so that a typing error is not answered.
#include "bovila/data/query.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bovila/config/problems.h"
#include "bovila/core/counted.h"
#include "bovila/core/error.h"
#include "bovila/core/json_depth.h"
#include "bovila/core/utf8.h"
#include "bovila/data/annotations.h"
#include "bovila/text/text.h"

namespace bovila {
namespace {

using nlohmann::json;

constexpr std::string_view kKeys[] = {"video",    "question", "options", "start", "end",
                                      "dialogue", "caption",  "context", "id"};
constexpr std::string_view kKeysOfSets[] = {"answer", "type", "vid", "qtype"};
constexpr double kMaxClipSeconds = 1e7;
constexpr size_t kMaxShownBytes = 60;

json parse_object(std::string_view text) {
  if (is_deep_json(text)) {
    throw UserError("lists or objects more than {} deep in one another", kMaxJsonDepth);
  }
  json fields;
  try {
    fields = json::parse(text);
  } catch (const json::exception& error) {
    const std::string_view what = error.what();
    throw UserError("not JSON: {}", to_valid_utf8(what.substr(what.find("] ") + 2)));
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

void check_keys(const json& fields) {
  for (const auto& [key, value] : fields.items()) {
    if (std::ranges::count(kKeys, key) + std::ranges::count(kKeysOfSets, key) > 0) continue;
    throw UserError("unknown key \"{}\"; a question has {}, and in a data set {}", key,
                    fmt::join(kKeys, ", "), fmt::join(kKeysOfSets, ", "));
  }
}

/// A text, or several.
std::vector<std::string> one_or_more(const json& value, const char* key) {
  return value.is_array() ? texts(value, key) : std::vector<std::string>{text(value, key)};
}

/// The right option's index from its number or letter.
int answer_of(const json& value, size_t num_options) {
  if (num_options < kMinOptions || num_options > kMaxOptions) return 0;  // said elsewhere
  const auto count = static_cast<int64_t>(num_options);
  if (value.is_number_integer()) {
    const bool fits = !value.is_number_unsigned() || value.get<uint64_t>() < num_options;
    if (fits && value.get<int64_t>() >= 0) return static_cast<int>(value.get<int64_t>());
  } else if (value.is_string() && value.get_ref<const std::string&>().size() == 1) {
    const int index = value.get_ref<const std::string&>()[0] - 'A';
    if (index >= 0 && index < count) return index;
  }
  throw UserError(
      "\"answer\": expected 0 to {} or A to {}, got {}", count - 1,
      static_cast<char>('A' + count - 1),
      to_valid_utf8(
          value.dump(-1, ' ', false, json::error_handler_t::replace).substr(0, kMaxShownBytes)));
}

int number_of_type(const json& value) {
  constexpr int64_t kMost = 1'000'000;
  if (value.is_number_integer() && value >= -1 && value <= kMost) return value.get<int>();
  throw UserError("\"qtype\": expected a whole number, -1 to {}", kMost);
}

/// "Caption: A man.\n", in one line; nothing of a blank text.
std::string line_of(std::string_view word, std::string said) {
  if (strip(said).empty()) return "";
  std::ranges::replace(said, '\n', ' ');
  return fmt::format("{}: {}\n", word, strip(said));
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

void check_videos(const std::vector<std::string>& videos, const FeatureStore& features) {
  const auto is_there = [&](const std::string& video) {
    return features.num_frames(video).has_value();
  };
  if (std::ranges::any_of(videos, is_there)) return;
  const auto names = features.names();
  const auto near = nearest(videos.front(), {names.begin(), names.end()});
  throw UserError("video \"{}\" has no features{}", videos.front(),
                  near.empty() ? "" : fmt::format("; is \"{}\" meant?", near));
}

/// All frames of the videos, or those of the clip.
std::vector<FrameSpan> spans(const Query& query, int64_t frames_per_second) {
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
  return {{videos.front(), frames_per_second * round_half_even(start),
           frames_per_second * (round_half_even(end) + 1)}};
}

void check_options(const Query& query) {
  if (query.options.size() >= kMinOptions && query.options.size() <= kMaxOptions) return;
  throw UserError("\"options\": expected {} to {} texts, got {}", kMinOptions, kMaxOptions,
                  query.options.size());
}

/// Of a clip that is asked about there must be a frame.
void check_clip(const Query& query, const Sample& sample, int64_t frames_per_second,
                const FeatureStore& features) {
  const FrameSpan& clip = sample.clip.front();
  const auto frames = features.num_frames(clip.video);
  if (!query.start_s || clip.first < frames.value_or(0)) return;
  throw UserError("the clip starts at {} s, video \"{}\" has {} frames, {} a second",
                  *query.start_s, clip.video, *frames, frames_per_second);
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
    query.videos = one_or_more(*video, "video");
  }
  if (const json* question = given(fields, "question"))
    query.question = text(*question, "question");
  if (const json* options = given(fields, "options")) query.options = texts(*options, "options");
  if (const json* start = given(fields, "start")) query.start_s = seconds(*start, "start");
  if (const json* end = given(fields, "end")) query.end_s = seconds(*end, "end");
  if (const json* said = given(fields, "dialogue")) query.dialogue = text(*said, "dialogue");
  if (const json* said = given(fields, "caption")) query.caption = text(*said, "caption");
  if (const json* said = given(fields, "context")) query.context = text(*said, "context");
  if (const json* type = given(fields, "type")) query.types = one_or_more(*type, "type");
  if (const json* name = given(fields, "vid")) query.name = text(*name, "vid");
  if (const json* type = given(fields, "qtype")) query.question_type = number_of_type(*type);
  if (const json* answer = given(fields, "answer")) {
    query.answer = answer_of(*answer, query.options.size());
  }
}

Sample sample_of(const Query& query, int64_t frames_per_second, bool subtitles) {
  check_options(query);
  if (strip(query.question).empty()) throw UserError("\"question\" is missing or blank");
  Sample sample;
  if (!query.id.empty()) {
    const json id = json::parse(query.id);
    if (!id.is_string() && !id.is_number_integer()) {
      throw UserError("\"id\": expected a text or a whole number, got {}", id.type_name());
    }
    sample.question_id = id.is_string() ? id.get<std::string>() : query.id;
  }
  sample.video_id =
      query.name.empty() ? fmt::format("{}", fmt::join(query.videos, " ")) : query.name;
  sample.context = line_of("Caption", query.caption) + line_of("Context", query.context);
  sample.question = normalize_question(query.question);
  sample.options = query.options;
  sample.answer = query.answer;
  sample.types = query.types;
  sample.question_type = query.question_type;
  sample.about_dialogue = subtitles;
  if (subtitles) sample.dialogue = query.dialogue;
  sample.clip = spans(query, frames_per_second);
  return sample;
}

Sample make_sample(Query& query, const DataConfig& config, const FeatureStore& features) {
  const QuestionForm& form = *find_annotation_reader(config.dataset).form;
  fill_in(query, form, features);
  check_options(query);
  check_videos(query.videos, features);
  const int64_t rate = config.frames_per_second.value_or(form.frames_per_second);
  auto said = dialogue(query, config, form);
  Query asked = query;
  asked.id.clear();  // the asker's, of any form
  Sample sample = sample_of(asked, rate, config.subtitles);
  sample.about_dialogue = form.about_dialogue || config.subtitles;
  sample.dialogue = std::move(said);
  check_clip(query, sample, rate, features);
  return sample;
}

}  // namespace bovila
