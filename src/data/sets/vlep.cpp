// VLEP: vlep_{split}_release.jsonl, which of two events comes next, with dialogues (SPEC 4).
// Feeds data/annotations.h.
#include <optional>
#include <string>

#include "bovila/core/error.h"
#include "bovila/data/annotations.h"
#include "bovila/data/subtitles.h"
#include "bovila/text/text.h"
#include "src/data/sets/annotation_file.h"

namespace bovila {
namespace {

std::string without_dashes(std::string_view text) {
  std::string out(text);
  std::erase(out, '-');
  return out;
}

}  // namespace

extern const QuestionForm vlep_form{
    .about_dialogue = true,
    .question = "Which event is more likely to happen right after?",
    .dialogue = [](std::string_view text) { return std::optional(without_dashes(text)); }};

namespace {

/// The texts of the clip without `-`, with nothing between them.
std::string join_dialogue(const std::vector<Subtitle>& subtitles,
                          const std::optional<Interval>& clip) {
  std::string dialogue;
  for (const Subtitle& subtitle : subtitles) {
    const bool belongs =
        !clip || in_clip(subtitle, round_half_even(clip->start), round_half_even(clip->end));
    if (belongs) dialogue += subtitle.text;
  }
  return without_dashes(dialogue);
}

/// None: the whole video.
std::optional<Interval> clip_times(const Record& record) {
  if (record.is_null("ts")) return record.interval(record.seconds("ts"), record.seconds("ts"));
  const std::vector<double> times = record.list_of_seconds("ts");
  if (times.size() == 2) return record.interval(times[0], times[1]);
  record.problem(fmt::format("\"ts\": expected 2 numbers, got {}", times.size()));
  return {};
}

Sample read_vlep_question(const Record& record, int num_options) {
  Sample sample;
  sample.question_id = record.id("example_id");
  sample.video_id = record.text("vid_name");
  sample.question = vlep_form.question;
  sample.options = record.texts("events", num_options);
  sample.answer = record.answer_index("answer", num_options);
  sample.about_dialogue = vlep_form.about_dialogue;
  return sample;
}

}  // namespace

std::vector<Sample> read_vlep(const AnnotationSource& source) {
  std::optional<SubtitleLines> subtitles;
  if (source.subtitles) subtitles.emplace(source.folder + "/vlep_subtitles.jsonl");
  const std::string split = source.split == "val" ? "dev" : source.split;
  FileProblems problems(fmt::format("{}/vlep_{}_release.jsonl", source.folder, split), "line");
  SampleCollector samples(problems, "answer");
  read_json_lines(problems, [&](const Record& record) {
    Sample sample = read_vlep_question(record, source.num_options);
    const auto clip = clip_times(record);
    sample.clip = {rounded_span(sample.video_id, clip)};
    if (subtitles) sample.dialogue = join_dialogue(subtitles->of(sample.video_id), clip);
    samples.add(record, std::move(sample));
  });
  if (subtitles) subtitles->report();
  return samples.finish();
}

}  // namespace bovila
