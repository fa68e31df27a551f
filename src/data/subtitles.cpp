// An .srt or .vtt is read by its time lines: they are the one part that every such file gets right.
#include "bovila/data/subtitles.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "bovila/core/counted.h"
#include "bovila/core/error.h"
#include "bovila/core/file_system.h"
#include "bovila/core/log.h"
#include "bovila/core/utf8.h"
#include "bovila/text/text.h"
#include "src/data/sets/annotation_file.h"

namespace bovila {
namespace {

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

/// Takes "h:m:s" or "m:s" and a fraction after a comma or a point; the seconds within the hour.
std::optional<int64_t> take_time(std::string_view& text) {
  text = strip(text);
  std::optional<int64_t> parts[3];  // hours where there are three
  size_t count = 0;
  do {
    parts[count] = take_number(text);
    if (!parts[count++]) return {};
  } while (count < std::size(parts) && take(text, ':'));
  if (count < 2) return {};
  if (take(text, ',') || take(text, '.')) take_number(text);
  return (*parts[count - 2] * 60 + *parts[count - 1]) % 3600;
}

/// "00:00:01,500 --> 00:00:04,000", or "00:01.500 --> 00:04.000", with anything (a position) behind
/// it.
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

Subtitle read_subtitle(const Record& record) {
  return {whole_seconds(record, "start"), whole_seconds(record, "end"),
          record.has("text") ? record.text("text") : ""};
}

}  // namespace

bool in_clip(const Subtitle& subtitle, int64_t start_s, int64_t end_s) {
  const auto& [start, end, text] = subtitle;
  return (start >= start_s && end <= end_s) || (start <= start_s && end <= end_s && start_s <= end);
}

std::string decode_text(std::string_view bytes, TextEncoding& encoding) {
  encoding = TextEncoding::kUtf8;
  if (bytes.starts_with("\xFF\xFE") || bytes.starts_with("\xFE\xFF")) {
    encoding = TextEncoding::kUtf16;
    return from_utf16(bytes);
  }
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
  std::string text;
  while (!bytes.empty()) {
    const std::string_view line = bytes.substr(0, bytes.find('\n') + 1);  // all of it without one
    const std::string_view part = line.empty() ? bytes : line;
    bytes.remove_prefix(part.size());
    if (is_valid_utf8(part)) {
      text += part;
    } else {
      encoding = TextEncoding::kWindows1252;
      text += from_windows_1252(part);
    }
  }
  return text;
}

std::vector<Subtitle> parse_srt(std::string_view text) {
  const std::vector<std::string_view> lines = split_lines(text);
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
  if (is_new) entry->second = read(video);
  return entry->second;
}

std::vector<Subtitle> SrtFolder::read(const std::string& video) {
  for (const char* extension : {".srt", ".vtt"}) {
    std::ifstream in(folder_ + "/" + video + extension, std::ios::binary);
    if (!in) continue;
    std::ostringstream bytes;
    bytes << in.rdbuf();
    TextEncoding encoding = TextEncoding::kUtf8;
    const std::string text = decode_text(bytes.view(), encoding);
    if (encoding == TextEncoding::kWindows1252) in_windows_1252_.push_back(video);
    if (encoding == TextEncoding::kUtf16) in_utf16_.push_back(video);
    auto subtitles = parse_srt(text);
    if (subtitles.empty() && !strip(text).empty()) without_times_.push_back(video);
    return subtitles;
  }
  missing_.push_back(video);
  return {};
}

void SrtFolder::report() const {
  const auto say = [&](const std::vector<std::string>& videos, std::string_view what) {
    if (videos.empty()) return;
    log::warn("{}: {} of {} videos {}: {}", folder_, videos.size(), videos_.size(), what,
              first_names(videos));
  };
  say(missing_, "have no .srt and so no dialogue");
  say(without_times_, "have subtitles without any time line that is known, and so no dialogue");
  say(in_windows_1252_, "have subtitles that are not UTF-8, which were read as Windows-1252");
  say(in_utf16_, "have subtitles in UTF-16");
}

SubtitleLines::SubtitleLines(const std::string& path) : path_(path) {
  FileProblems problems(path, "line");
  read_json_lines(problems, [&](const Record& record) {
    std::vector<Subtitle>& subtitles = videos_[record.text("vid_name")];
    for (const Record& entry : record.records("sub")) {
      subtitles.push_back(read_subtitle(entry));
    }
  });
  problems.throw_if_any();
}

const std::vector<Subtitle>& SubtitleLines::of(const std::string& video) {
  static const std::vector<Subtitle> none;
  const auto found = videos_.find(video);
  (found == videos_.end() ? missing_ : found_).insert(video);
  return found == videos_.end() ? none : found->second;
}

void SubtitleLines::report() const {
  if (missing_.empty()) return;
  log::warn("{}: {} of {} videos are not in it and so have no dialogue: {}", path_, missing_.size(),
            missing_.size() + found_.size(),
            first_names(std::vector(missing_.begin(), missing_.end())));
}

}  // namespace bovila
