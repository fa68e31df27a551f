// An .srt is read by its time lines: they are the one part that every such file gets right.
#include "bovila/data/subtitles.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <sstream>

#include "bovila/core/error.h"
#include "bovila/core/file_system.h"
#include "bovila/core/log.h"
#include "bovila/core/utf8.h"
#include "bovila/text/text.h"
#include "src/data/sets/annotation_file.h"

namespace bovila {
namespace {

constexpr size_t kMaxNamedFiles = 5;
constexpr double kMaxCueSeconds = 1e7;

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = text.find_first_of("\r\n");
    lines.push_back(strip_right(text.substr(0, end)));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + (text.substr(end, 2) == "\r\n" ? 2 : 1));
  }
  return lines;
}

/// Takes a number of up to four digits off the front of `text`.
std::optional<int64_t> take_number(std::string_view& text) {
  int64_t value = 0;
  const char* limit = text.data() + std::min<size_t>(text.size(), 4);
  const auto [end, error] = std::from_chars(text.data(), limit, value);
  if (error != std::errc() || value < 0) return {};
  text.remove_prefix(end - text.data());
  return value;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

/// Takes "h:m:s" and a fraction after a comma or a point; the seconds within the hour.
std::optional<int64_t> take_time(std::string_view& text) {
  text = strip(text);
  const auto hours = take_number(text);
  if (!hours || !take(text, ':')) return {};
  const auto minutes = take_number(text);
  if (!minutes || !take(text, ':')) return {};
  const auto seconds = take_number(text);
  if (!seconds) return {};
  if (take(text, ',') || take(text, '.')) take_number(text);
  return (*minutes * 60 + *seconds) % 3600;
}

/// "00:00:01,500 --> 00:00:04,000", with anything (a position) behind it.
std::optional<Subtitle> parse_time_line(std::string_view line) {
  if (line.find("-->") == std::string_view::npos) return {};
  const auto start = take_time(line);
  line = strip(line);
  if (!start || !line.starts_with("-->")) return {};
  line.remove_prefix(3);
  const auto end = take_time(line);
  if (!end) return {};
  return Subtitle{*start, *end, ""};
}

bool is_index(std::string_view line) {
  line = strip(line);
  return !line.empty() && line.find_first_not_of("0123456789") == std::string_view::npos;
}

/// True when `lines[i]` starts another subtitle: a time line, or an index with one behind it.
bool starts_subtitle(const std::vector<std::string_view>& lines, size_t i) {
  if (parse_time_line(lines[i])) return true;
  return is_index(lines[i]) && i + 1 < lines.size() && parse_time_line(lines[i + 1]);
}

/// A time in seconds, truncated. Subtitles may be out of order or before the video's start.
int64_t whole_seconds(const Record& record, const char* key) {
  const double seconds = record.number(key).value_or(0);
  if (std::abs(seconds) < kMaxCueSeconds) return static_cast<int64_t>(seconds);
  record.problem(fmt::format("\"{}\": {} is no time in seconds", key, seconds));
  return 0;
}

Subtitle read_vlep_subtitle(const Record& record) {
  return {whole_seconds(record, "start"), whole_seconds(record, "end"),
          record.has("text") ? record.text("text") : ""};
}

}  // namespace

bool in_clip(const Subtitle& subtitle, int64_t start_s, int64_t end_s) {
  const auto& [start, end, text] = subtitle;
  return (start >= start_s && end <= end_s) || (start <= start_s && end <= end_s && start_s <= end);
}

std::vector<Subtitle> parse_srt(std::string_view bytes) {
  const std::string text = to_valid_utf8(bytes);
  const std::vector<std::string_view> lines =
      split_lines(std::string_view(text).substr(text.starts_with("\xEF\xBB\xBF") ? 3 : 0));
  std::vector<Subtitle> subtitles;
  for (size_t i = 0; i < lines.size();) {
    auto subtitle = parse_time_line(lines[i++]);
    if (!subtitle) continue;
    for (bool first = true; i < lines.size() && !lines[i].empty(); ++i, first = false) {
      if (starts_subtitle(lines, i)) break;
      if (!first) subtitle->text += '\n';
      subtitle->text += lines[i];
    }
    subtitles.push_back(std::move(*subtitle));
  }
  return subtitles;
}

SrtFolder::SrtFolder(std::string folder) : folder_(std::move(folder)) {
  if (!std::filesystem::is_directory(folder_)) {
    throw UserError(
        "{}: expected a folder with one .srt a video, got none. "
        "Unpack the subtitles there, or set data.subtitles to false.",
        folder_);
  }
}

const std::vector<Subtitle>& SrtFolder::of(const std::string& video) {
  BOVILA_CHECK(is_file_name(video), "a video named \"{}\"", video);
  const auto [entry, is_new] = videos_.try_emplace(video);
  if (!is_new) return entry->second;
  std::ifstream in(folder_ + "/" + video + ".srt", std::ios::binary);
  if (!in) missing_.push_back(video);
  std::ostringstream bytes;
  if (in) bytes << in.rdbuf();
  return entry->second = parse_srt(bytes.view());
}

void SrtFolder::report_missing() const {
  if (missing_.empty()) return;
  const auto named = std::span(missing_).first(std::min(missing_.size(), kMaxNamedFiles));
  log::warn("{}: {} of {} videos have no .srt and so no dialogue: {}{}", folder_, missing_.size(),
            videos_.size(), fmt::join(named, ", "), named.size() < missing_.size() ? ", ..." : "");
}

std::unordered_map<std::string, std::vector<Subtitle>> read_vlep_subtitles(
    const std::string& path) {
  std::unordered_map<std::string, std::vector<Subtitle>> videos;
  FileProblems problems(path, "line");
  read_json_lines(problems, [&](const Record& record) {
    std::vector<Subtitle>& subtitles = videos[record.text("vid_name")];
    for (const Record& entry : record.records("sub")) {
      subtitles.push_back(read_vlep_subtitle(entry));
    }
  });
  problems.throw_if_any();
  return videos;
}

}  // namespace bovila
