// Typed fields, and the checks that all data sets need.
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>

#include "bovila/config/problems.h"
#include "bovila/core/error.h"
#include "bovila/core/utf8.h"
#include "bovila/text/text.h"
#include "src/data/sets/annotation_file.h"

namespace bovila {
namespace {

using nlohmann::json;

constexpr size_t kMaxListed = 20;
constexpr size_t kMaxShownBytes = 60;
constexpr double kMaxSeconds = 1e7;  // four months of video: beyond it is no clip's time

std::string shown(const json& value) {
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > kMaxShownBytes) text = to_valid_utf8(text.substr(0, kMaxShownBytes)) + "...";
  return text;
}

bool is_text(const json& value) {
  return value.is_string();
}
bool is_number(const json& value) {
  return value.is_number();
}
bool is_number_or_null(const json& value) {
  return value.is_number() || value.is_null();
}
double number_or_nan(const json& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}
bool is_object(const json& value) {
  return value.is_object();
}
bool is_list(const json& value) {
  return value.is_array();
}
bool is_integer(const json& value) {
  return value.is_number_integer() &&
         (!value.is_number_unsigned() || value.get<uint64_t>() <= uint64_t{INT64_MAX});
}
bool is_id(const json& value) {
  return is_text(value) || is_integer(value);
}

}  // namespace

void FileProblems::add(int64_t place, std::string_view what) {
  ++count_;
  if (listed_.size() < kMaxListed) listed_.push_back(fmt::format("{} {}: {}", unit_, place, what));
}

void FileProblems::throw_if_any() const {
  if (count_ == 0) return;
  std::string message = fmt::format("{}: {} problem{}", file_, count_, count_ == 1 ? "" : "s");
  for (const std::string& line : listed_) message += "\n  " + line;
  const auto rest = count_ - static_cast<int64_t>(listed_.size());
  if (rest > 0) message += fmt::format("\n  and {} more", rest);
  throw UserError("{}\nMend the file, or download it again.", message);
}

void Record::allow_only(std::span<const std::string_view> keys) const {
  const std::vector<std::string_view> known(keys.begin(), keys.end());
  for (const auto& [key, value] : fields_.items()) {
    if (std::ranges::count(keys, key) > 0) continue;
    const std::string_view near = nearest(key, known);
    problem(fmt::format("unknown key \"{}\"{}; expected {}", key,
                        near.empty() ? "" : fmt::format(", is \"{}\" meant?", near),
                        fmt::join(keys, ", ")));
  }
}

bool Record::has(const char* key) const {
  const auto found = fields_.find(key);
  if (found == fields_.end() || found->is_null()) return false;
  return !found->is_string() || !strip(found->get_ref<const std::string&>()).empty();
}

bool Record::is_null(const char* key) const {
  const auto found = fields_.find(key);
  return found != fields_.end() && found->is_null();
}

const json* Record::typed(const char* key, std::string_view expected, Is* is) const {
  const auto found = fields_.find(key);
  if (found == fields_.end()) {
    problem(fmt::format("\"{}\" is missing", key));
  } else if (!is(*found)) {
    problem(fmt::format("\"{}\": expected {}, got {}", key, expected, shown(*found)));
  } else {
    return &*found;
  }
  return nullptr;
}

const json* Record::list(const char* key, std::string_view expected, Is* is) const {
  const std::string what = fmt::format("a list of {}", expected);
  const json* value = typed(key, what, is_list);
  if (value == nullptr || std::all_of(value->begin(), value->end(), is)) return value;
  problem(fmt::format("\"{}\": expected {}, got {}", key, what, shown(*value)));
  return nullptr;
}

std::string Record::text(const char* key) const {
  const json* value = typed(key, "a text", is_text);
  return value == nullptr ? "" : value->get<std::string>();
}

std::string Record::id(const char* key) const {
  const json* value = typed(key, "a text or a whole number", is_id);
  if (value == nullptr) return "";
  return is_text(*value) ? value->get<std::string>() : value->dump();
}

std::optional<int64_t> Record::integer(const char* key) const {
  const json* value = typed(key, "a whole number", is_integer);
  return value == nullptr ? std::nullopt : std::optional(value->get<int64_t>());
}

std::optional<double> Record::number(const char* key) const {
  const json* value = typed(key, "a number", is_number);
  return value == nullptr ? std::nullopt : std::optional(value->get<double>());
}

std::vector<std::string> Record::texts(const char* key) const {
  const json* value = list(key, "texts", is_text);
  return value == nullptr ? std::vector<std::string>() : value->get<std::vector<std::string>>();
}

std::optional<double> Record::seconds(const char* key) const {
  const json* value = typed(key, "a number", is_number_or_null);
  return value == nullptr ? std::nullopt : std::optional(number_or_nan(*value));
}

std::vector<std::string> Record::texts(const char* key, int count) const {
  const json* value = list(key, "texts", is_text);
  if (value == nullptr) return {};
  if (value->size() != static_cast<size_t>(count)) {
    problem(fmt::format("\"{}\": expected {} texts, got {}", key, count, value->size()));
  }
  return value->get<std::vector<std::string>>();
}

std::vector<double> Record::numbers(const char* key) const {
  const json* value = list(key, "numbers", is_number);
  return value == nullptr ? std::vector<double>() : value->get<std::vector<double>>();
}

std::vector<double> Record::list_of_seconds(const char* key) const {
  std::vector<double> out;
  if (const json* value = list(key, "numbers", is_number_or_null)) {
    std::ranges::transform(*value, std::back_inserter(out), number_or_nan);
  }
  return out;
}

std::vector<Record> Record::records(const char* key) const {
  std::vector<Record> found;
  if (const json* value = list(key, "objects", is_object)) {
    for (const json& fields : *value) found.emplace_back(fields, place_, problems_);
  }
  return found;
}

std::optional<int> Record::answer_index(const char* key, int num_options) const {
  if (!has(key)) return {};
  const std::optional<int64_t> index = integer(key);
  if (!index) return {};
  if (*index < 0 || *index >= num_options) {
    problem(
        fmt::format("\"{}\": expected an option, 0 to {}, got {}", key, num_options - 1, *index));
    return {};
  }
  return static_cast<int>(*index);
}

std::optional<Interval> Record::interval(std::optional<double> start,
                                         std::optional<double> end) const {
  if (!start || !end) return {};
  if (std::isnan(*start) || std::isnan(*end)) {
    problems_.add_whole_video();
    return {};
  }
  if (*start >= 0 && *start <= *end && *end <= kMaxSeconds) return Interval{*start, *end};
  problem(fmt::format("the clip's times: expected 0 <= start <= end in seconds, got {} to {}",
                      *start, *end));
  return {};
}

}  // namespace bovila
