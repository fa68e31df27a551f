// A line of JSON, read strictly, so that a typing error is not answered.
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bovila/config/problems.h"
#include "bovila/core/error.h"
#include "bovila/core/json_depth.h"
#include "bovila/core/json_reason.h"
#include "bovila/core/utf8.h"
#include "bovila/data/query.h"

namespace bovila {
namespace {

using nlohmann::json;

constexpr std::string_view kKeys[] = {"video",    "question",      "options", "start",   "end",
                                      "dialogue", "allow_missing", "caption", "context", "id"};
constexpr std::string_view kKeysOfSets[] = {"answer", "type", "name", "qtype"};
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
  void read_one_or_more(const char* key, std::vector<std::string>& out) {
    const json* value = given(fields_, key);
    if (value == nullptr) return;
    if (value->is_array()) return read_texts(key, out);
    if (!take_text(*value, key, out.emplace_back())) out.clear();
  }
  /// The right one of so many options, by its number or its letter.
  void read_answer(size_t num_options, std::optional<int>& out) {
    const json* value = given(fields_, "answer");
    if (value == nullptr || num_options < kMinOptions || num_options > kMaxOptions) return;
    out = option_of(*value, num_options);
    if (out) return;
    const auto last = static_cast<int>(num_options) - 1;
    problems_.push_back(fmt::format("\"answer\": expected 0 to {} or A to {}, got {}", last,
                                    static_cast<char>('A' + last), shown(*value)));
  }
  void read_type_number(int& out) {
    const json* value = given(fields_, "qtype");
    if (value == nullptr) return;
    if (value->is_number_integer() && *value >= -1 && *value <= kMaxTypeNumber) {
      out = value->get<int>();
    } else {
      problems_.push_back(fmt::format("\"qtype\": expected a whole number, -1 to {}, got {}",
                                      kMaxTypeNumber, shown(*value)));
    }
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
      if (std::ranges::count(kKeys, key) + std::ranges::count(kKeysOfSets, key) > 0) continue;
      const std::string_view meant = meant_key(key);
      problems_.push_back(fmt::format(
          "unknown key \"{}\"{}; a question has {}", to_valid_utf8(key.substr(0, kMaxShownKey)),
          meant.empty() ? "" : fmt::format(", is \"{}\" meant?", meant), fmt::join(kKeys, ", ")));
      if (problems_.size() > kMaxProblems) return;
    }
  }

 private:
  static constexpr size_t kMaxShownKey = 60, kMaxProblems = 10;
  static constexpr int kMaxTypeNumber = 1'000'000;

  static std::string shown(const json& value) {
    const auto text = value.dump(-1, ' ', false, json::error_handler_t::replace);
    return to_valid_utf8(text.substr(0, kMaxShownKey));
  }
  static std::optional<int> option_of(const json& value, size_t num_options) {
    if (value.is_number_unsigned() && value.get<uint64_t>() < num_options) return value.get<int>();
    if (!value.is_string() || value.get_ref<const std::string&>().size() != 1) return {};
    const int index = value.get_ref<const std::string&>()[0] - 'A';
    if (index < 0 || index >= static_cast<int>(num_options)) return {};
    return index;
  }

  /// By what other tools and data sets call it, else by spelling.
  static std::string_view meant_key(const std::string& key) {
    const auto other = std::ranges::find(kOtherNames, key, &OtherName::theirs);
    if (other != std::end(kOtherNames)) return other->ours;
    std::vector<std::string_view> known(std::begin(kKeys), std::end(kKeys));
    known.insert(known.end(), std::begin(kKeysOfSets), std::end(kKeysOfSets));
    return nearest(key, known);
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

}  // namespace

void parse_query(std::string_view line, Query& query) {
  const json fields = parse_object(line);
  if (const json* id = given(fields, "id")) query.id = id->dump();
  LineReader reader(fields, query.problems);
  reader.check_keys();
  reader.read_one_or_more("video", query.videos);
  reader.read_text("question", query.question);
  reader.read_texts("options", query.options);
  reader.read_seconds("start", query.start_s);
  reader.read_seconds("end", query.end_s);
  reader.read_text("dialogue", query.dialogue);
  reader.read_flag("allow_missing", query.allow_missing);
  reader.read_text("caption", query.caption);
  reader.read_text("context", query.context);
  reader.read_one_or_more("type", query.types);
  reader.read_text("name", query.name);
  reader.read_type_number(query.question_type);
  reader.read_answer(query.options.size(), query.answer);
}

}  // namespace bovila
