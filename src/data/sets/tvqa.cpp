// TVQA: tvqa_{split}.jsonl and one .srt a video, or the repository's JSON Lines of subtitles; five
// options, three frames a second (SPEC 4). Feeds data/annotations.h.
#include <filesystem>
#include <memory>

#include "bovila/config/dump.h"
#include "bovila/core/error.h"
#include "bovila/core/file_system.h"
#include "bovila/data/annotations.h"
#include "bovila/data/subtitles.h"
#include "bovila/text/text.h"
#include "src/data/sets/annotation_file.h"

namespace bovila {
namespace {

constexpr const char* kTvqaOptionKeys[] = {"a0", "a1", "a2", "a3", "a4"};
constexpr int64_t kFramesPerSecond = 3;

std::string in_one_line(std::string_view text) {
  std::string line = " ";
  for (const char c : text) line += c == '\n' ? ' ' : c;
  return line;
}

std::optional<std::string> asked_dialogue(std::string_view text) {
  if (strip(text).empty()) return {};
  return in_one_line(text);
}

}  // namespace

extern const QuestionForm tvqa_form{
    .frames_per_second = kFramesPerSecond, .about_dialogue = true, .dialogue = asked_dialogue};

namespace {

/// A clip in whole seconds; none is the whole video.
struct Clip {
  int64_t start_s;
  int64_t end_s;
};

/// "12.3-45.6"; "nan-nan" is the whole video.
std::optional<Clip> parse_clip(const Record& record) {
  if (record.is_null("ts")) {
    record.interval(record.seconds("ts"), record.seconds("ts"));
    return {};
  }
  const std::string text = record.text("ts");
  const size_t dash = text.find('-');
  const auto start = parse_number(text.substr(0, dash));
  const auto end = parse_number(dash == std::string::npos ? "?" : text.substr(dash + 1));
  if (!start || !end) {
    record.problem(
        fmt::format("\"ts\": expected start-end in seconds as in \"12.3-45.6\", "
                    "got \"{}\"",
                    text));
    return {};
  }
  const auto times = record.interval(start, end);
  if (!times) return {};
  return Clip{round_half_even(times->start), round_half_even(times->end)};
}

/// One blank and the text, in one line, of each subtitle in the clip; none when there is none.
std::optional<std::string> join_dialogue(const std::vector<Subtitle>& subtitles,
                                         const std::optional<Clip>& clip) {
  std::string dialogue;
  for (const Subtitle& subtitle : subtitles) {
    if (clip && !in_clip(subtitle, clip->start_s, clip->end_s)) continue;
    dialogue += in_one_line(subtitle.text);
  }
  if (dialogue.empty()) return {};
  return dialogue;
}

constexpr const char* kSrtFolder = "tvqa_subtitles";
constexpr const char* kSubtitleLines = "tvqa_preprocessed_subtitles.jsonl";

std::unique_ptr<SubtitleSource> open_subtitles(const std::string& folder) {
  const std::string srt = fmt::format("{}/{}", folder, kSrtFolder);
  const std::string lines = fmt::format("{}/{}", folder, kSubtitleLines);
  if (std::filesystem::is_directory(srt)) return std::make_unique<SrtFolder>(srt);
  if (std::filesystem::exists(lines)) return std::make_unique<SubtitleLines>(lines);
  throw UserError(
      "{}: expected a folder with one .srt a video, or the file {} beside it, got neither. Unpack "
      "the subtitles there, or set data.subtitles to false.",
      srt, kSubtitleLines);
}

/// The dialogue of the video's .srt, whose name comes from the annotation.
std::optional<std::string> read_dialogue(SubtitleSource& subtitles, const Record& record,
                                         const std::string& video,
                                         const std::optional<Clip>& clip) {
  if (is_file_name(video)) return join_dialogue(subtitles.of(video), clip);
  record.problem(
      fmt::format("\"vid_name\": expected a name that an .srt can have, got {}", quote(video)));
  return {};
}

Sample read_tvqa_question(const Record& record) {
  Sample sample;
  sample.question_id = record.id("qid");
  sample.video_id = record.text("vid_name");
  sample.question = normalize_question(record.text("q"));
  for (const char* key : kTvqaOptionKeys) sample.options.push_back(record.text(key));
  sample.answer = record.answer_index("answer_idx", std::size(kTvqaOptionKeys));
  sample.about_dialogue = tvqa_form.about_dialogue;
  return sample;
}

FrameSpan frame_span(const std::string& video, const std::optional<Clip>& clip) {
  if (!clip) return {video, 0, FrameSpan::kToEnd};
  return {video, kFramesPerSecond * clip->start_s, kFramesPerSecond * (clip->end_s + 1)};
}

}  // namespace

std::vector<Sample> read_tvqa(const AnnotationSource& source) {
  std::unique_ptr<SubtitleSource> subtitles;
  if (source.subtitles) subtitles = open_subtitles(source.folder);
  FileProblems problems(fmt::format("{}/tvqa_{}.jsonl", source.folder, source.split), "line");
  SampleCollector samples(problems, "answer_idx");
  read_json_lines(problems, [&](const Record& record) {
    Sample sample = read_tvqa_question(record);
    const std::optional<Clip> clip = parse_clip(record);
    sample.clip = {frame_span(sample.video_id, clip)};
    if (subtitles) sample.dialogue = read_dialogue(*subtitles, record, sample.video_id, clip);
    samples.add(record, std::move(sample));
  });
  if (subtitles) subtitles->report();
  return samples.finish();
}

}  // namespace bovila
