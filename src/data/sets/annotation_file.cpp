// JSON is read by callbacks, so that a file of any size needs the memory of one question.
#include "src/data/sets/annotation_file.h"

#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "bovila/core/error.h"
#include "bovila/core/json_depth.h"
#include "bovila/core/utf8.h"
#include "bovila/files/csv.h"
#include "bovila/text/text.h"
#include "src/data/sets/json_text.h"

namespace bovila {
namespace {

using nlohmann::json;

constexpr std::string_view kHint =
    "The file comes from data.folder and data.train_split or data.val_split in the deck.";

std::ifstream open_annotation_file(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (!fs::exists(path, ignored)) throw UserError("{} is missing. {}", path, kHint);
  if (fs::is_directory(path, ignored)) {
    throw UserError("{}: expected a file, got a folder. {}", path, kHint);
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) throw UserError("{} cannot be read: check its permissions. {}", path, kHint);
  return in;
}

std::string too_deep() {
  return fmt::format("lists or objects more than {} deep in one another", kMaxJsonDepth);
}

/// nlohmann's message without its "[json.exception...]" mark.
std::string reason(const json::exception& error) {
  const std::string what = error.what();
  const size_t end = what.find("] ");
  return to_valid_utf8(end == std::string::npos ? what : what.substr(end + 2));
}

/// Gives the objects of a list to `use` as they are completed, and drops them.
class ListParser {
 public:
  /// `row`: the number of the last object, from 1.
  ListParser(FileProblems& problems, const std::vector<std::string>& keys, const UseRecord& use,
             int64_t& row)
      : problems_(problems), keys_(keys), use_(use), row_(row) {}

  bool operator()(int depth, json::parse_event_t event, json& parsed) {
    using Event = json::parse_event_t;
    if (depth == 0) return accept_top(event);
    if (depth > kMaxJsonDepth) throw UserError("{}: {}. {}", problems_.file(), too_deep(), kHint);
    if (depth == 2 && event == Event::key) {
      return keys_.empty() || std::ranges::count(keys_, parsed.get_ref<const std::string&>()) > 0;
    }
    if (depth != 1) return true;
    if (event == Event::object_start) return true;
    if (event == Event::object_end) {
      use_(Record(parsed, ++row_, problems_));
    } else if (event == Event::value || event == Event::array_start) {
      problems_.add(++row_,
                    fmt::format("expected a {} ({{...}}), got something else", problems_.item()));
    }
    return false;
  }

 private:
  bool accept_top(json::parse_event_t event) {
    if (event == json::parse_event_t::array_start || event == json::parse_event_t::array_end) {
      return true;
    }
    throw UserError("{}: expected a list of {}s ([...]), got something else. {}", problems_.file(),
                    problems_.item(), kHint);
  }

  FileProblems& problems_;
  const std::vector<std::string>& keys_;
  const UseRecord& use_;
  int64_t& row_;
};

void read_json_line(std::string_view line, int64_t place, FileProblems& problems,
                    const UseRecord& use) {
  if (is_deep_json(line)) return problems.add(place, "not a question: " + too_deep());
  const bool may_have_nan = line.find("NaN") != std::string_view::npos;
  const std::string text = may_have_nan ? nan_as_null(line) : std::string();
  const std::string_view bytes = may_have_nan ? text : line;
  json fields;
  try {
    fields = json::parse(bytes);
  } catch (const json::parse_error& error) {
    problems.add(place, fmt::format("not JSON: {}, at {}", reason(error),
                                    json_place(bytes, error.byte > 0 ? error.byte - 1 : 0)));
    return;
  } catch (const json::exception& error) {
    problems.add(place, "not JSON: " + reason(error));
    return;
  }
  if (!fields.is_object()) {
    problems.add(place, "expected an object ({...}), got " + std::string(fields.type_name()));
    return;
  }
  use(Record(fields, place, problems));
}

void check_columns(const FileProblems& problems, const CsvRow& header,
                   const std::vector<std::string>& columns) {
  for (const std::string& column : columns) {
    if (std::find(header.fields.begin(), header.fields.end(), column) == header.fields.end()) {
      throw UserError("{}, line {}: column \"{}\" is missing from the header. {}", problems.file(),
                      header.line, column, kHint);
    }
  }
}

}  // namespace

std::string read_annotation_file(const std::string& path) {
  std::ifstream in = open_annotation_file(path);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return std::move(bytes).str();
}

void read_json_list(FileProblems& problems, const std::vector<std::string>& keys,
                    const UseRecord& use) {
  std::ifstream in = open_annotation_file(problems.file());
  NanAsNull filter(*in.rdbuf());
  std::istream text(&filter);
  int64_t row = 0;
  try {
    const json parsed = json::parse(text, ListParser(problems, keys, use, row));
  } catch (const json::exception& error) {
    if (filter.is_at_end()) {
      throw UserError("{}: not JSON: {}. Is it complete? {}", problems.file(), reason(error),
                      kHint);
    }
    throw UserError("{}: not JSON: {}, in row {} at {}. {}", problems.file(), reason(error),
                    row + 1, filter.place(), kHint);
  }
}

nlohmann::json read_json_object(const std::string& path) {
  const std::string bytes = read_annotation_file(path);
  if (is_deep_json(bytes)) throw UserError("{}: {}. {}", path, too_deep(), kHint);
  json parsed;
  try {
    parsed = json::parse(bytes);
  } catch (const json::exception& error) {
    throw UserError("{}: not JSON: {}. Is it complete? {}", path, reason(error), kHint);
  }
  if (parsed.is_object()) return parsed;
  throw UserError("{}: expected one object ({{...}}), got {}. {}", path, parsed.type_name(), kHint);
}

void read_lines(const FileProblems& problems,
                const std::function<void(const std::string& line, int64_t place)>& use) {
  std::ifstream in = open_annotation_file(problems.file());
  std::string line;
  for (int64_t place = 1; std::getline(in, line); ++place) {
    if (!strip(line).empty()) use(line, place);
  }
}

void read_json_lines(FileProblems& problems, const UseRecord& use) {
  read_lines(problems, [&](const std::string& line, int64_t place) {
    read_json_line(line, place, problems, use);
  });
}

void read_csv_rows(FileProblems& problems, const std::vector<std::string>& columns,
                   const UseRecord& use) {
  const std::string bytes = read_annotation_file(problems.file());
  const std::vector<CsvRow> rows = parse_csv(bytes, problems.file());
  if (rows.empty()) throw UserError("{} is empty. {}", problems.file(), kHint);
  const CsvRow& header = rows.front();
  check_columns(problems, header, columns);
  for (size_t i = 1; i < rows.size(); ++i) {
    const CsvRow& row = rows[i];
    if (row.fields.size() != header.fields.size()) {
      problems.add(row.line, fmt::format("expected {} fields as in the header, got {}",
                                         header.fields.size(), row.fields.size()));
      continue;
    }
    json fields = json::object();
    for (size_t c = 0; c < row.fields.size(); ++c) {
      if (to_valid_utf8(row.fields[c]) != row.fields[c]) {
        problems.add(row.line, fmt::format("column \"{}\" is not UTF-8", header.fields[c]));
      }
      fields[header.fields[c]] = row.fields[c];
    }
    use(Record(fields, row.line, problems));
  }
}

std::optional<double> parse_number(std::string_view text) {
  text = strip(text);
  if (text.empty() || text == "nan" || text == "NaN") {
    return std::numeric_limits<double>::quiet_NaN();
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return {};
  return value;
}

}  // namespace bovila
