// What the readers of the data sets share: files of records, typed fields, all problems at once.
// Fed by JSON, JSON Lines and CSV files; feeds src/data/sets/NAME.cpp with one Record a question.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bovila/data/sample.h"

namespace bovila {

/// What is wrong with one file: everything is counted, the first 20 are listed.
class FileProblems {
 public:
  /// `unit` is what places count, from 1: "line" or "row"; `item` is what stands there.
  FileProblems(std::string file, std::string_view unit, std::string_view item = "question")
      : file_(std::move(file)), unit_(unit), item_(item) {}
  void add(int64_t place, std::string_view what);
  const std::string& file() const { return file_; }
  std::string_view unit() const { return unit_; }
  std::string_view item() const { return item_; }
  /// @throws UserError with the list when anything was added.
  void throw_if_any() const;
  /// Counts a question without times, which is about the whole video.
  void add_whole_video() { ++num_whole_videos_; }
  int64_t num_whole_videos() const { return num_whole_videos_; }

 private:
  std::string file_;
  std::string_view unit_, item_;
  std::vector<std::string> listed_;
  int64_t count_ = 0;
  int64_t num_whole_videos_ = 0;
};

/// A span of time in seconds: finite, not negative, in order.
struct Interval {
  double start = 0;
  double end = 0;
};

/// The fields of one question with their place in the file. What is missing or wrong goes to the
/// FileProblems and comes back empty, so that reading continues and finds the rest.
class Record {
 public:
  Record(const nlohmann::json& fields, int64_t place, FileProblems& problems)
      : fields_(fields), place_(place), problems_(problems) {}

  int64_t place() const { return place_; }
  void problem(std::string_view what) const { problems_.add(place_, what); }
  /// A problem for each key that is none of these, with the one that may be meant.
  void allow_only(std::span<const std::string_view> keys) const;
  /// True when the key is there and neither null nor a blank text.
  bool has(const char* key) const;
  /// True when the key is there and null: NaN, where Python wrote the file.
  bool is_null(const char* key) const;
  std::string text(const char* key) const;
  /// A text, or a whole number in digits.
  std::string id(const char* key) const;
  std::optional<int64_t> integer(const char* key) const;
  std::optional<double> number(const char* key) const;
  /// A number, or NaN where the key's value is null.
  std::optional<double> seconds(const char* key) const;
  /// A list of texts, any number of them or `count`.
  std::vector<std::string> texts(const char* key) const;
  std::vector<std::string> texts(const char* key, int count) const;
  std::vector<double> numbers(const char* key) const;
  /// A list of numbers, NaN where one is null.
  std::vector<double> list_of_seconds(const char* key) const;
  /// A list of objects.
  std::vector<Record> records(const char* key) const;

  /// The index `key`, in [0, num_options); none and no problem when the key is not there.
  std::optional<int> answer_index(const char* key, int num_options) const;
  /// Checks a clip's times; none when they are wrong, and when one is NaN: then the whole video is
  /// meant, and counted.
  std::optional<Interval> interval(std::optional<double> start, std::optional<double> end) const;

 private:
  using Is = bool(const nlohmann::json&);
  const nlohmann::json* typed(const char* key, std::string_view expected, Is* is) const;
  const nlohmann::json* list(const char* key, std::string_view expected, Is* is) const;

  const nlohmann::json& fields_;
  int64_t place_;
  FileProblems& problems_;
};

using UseRecord = std::function<void(const Record&)>;

/// Calls `use` for each object of a file that is one JSON list. Only `keys` of it (none: all) are
/// kept while reading, so memory holds no more than one question.
void read_json_list(FileProblems& problems, const std::vector<std::string>& keys,
                    const UseRecord& use);
/// A file that is one JSON object. @throws UserError when it is none.
nlohmann::json read_json_object(const std::string& path);
/// Calls `use` for each line that is not blank, with its number.
void read_lines(const FileProblems& problems,
                const std::function<void(const std::string& line, int64_t place)>& use);
/// Calls `use` for each line of a JSON Lines file; blank lines are skipped.
void read_json_lines(FileProblems& problems, const UseRecord& use);
/// Calls `use` for each row below the header, which must have `columns`; every field is a text.
void read_csv_rows(FileProblems& problems, const std::vector<std::string>& columns,
                   const UseRecord& use);

/// The bytes of a file. @throws UserError when it cannot be read.
std::string read_annotation_file(const std::string& path);
/// A number in digits, NaN for "nan" and for a blank text; none for anything else.
std::optional<double> parse_number(std::string_view text);

/// Gathers one split: gives each sample its row, and checks what concerns several questions.
class SampleCollector {
 public:
  /// `answer_key` holds the answer, in all questions of a file or in none.
  SampleCollector(FileProblems& problems, const char* answer_key)
      : problems_(problems), answer_key_(answer_key) {}
  void add(const Record& record, Sample sample) {
    add(record.place(), record.has(answer_key_), std::move(sample));
  }
  void add(int64_t place, bool has_answer, Sample sample);
  /// All samples. @throws UserError when there were problems, or no question at all.
  std::vector<Sample> finish();

 private:
  FileProblems& problems_;
  const char* answer_key_;
  std::vector<Sample> samples_;
  std::vector<int64_t> unanswered_;                  // places of questions without an answer
  std::unordered_map<std::string, int64_t> places_;  // of question ids
};

/// What is wrong with `name`, the value of `key`, as that of a type of question, or "": it may not
/// be a figure's that every log has.
std::string type_problem(std::string_view key, std::string_view name);

/// A dialogue as it is; none of an empty one.
std::optional<std::string> plain_dialogue(std::string_view text);

/// Rows round(start) .. round(end), one a second, of `video` (SPEC 4); all of it without times.
FrameSpan rounded_span(const std::string& video, const std::optional<Interval>& interval);

}  // namespace bovila
