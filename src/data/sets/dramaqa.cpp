// DramaQA: AnotherMissOhQA_{split}_set.json, one list of questions about shots and scenes (SPEC 4).
// Feeds data/annotations.h.
#include <fmt/ranges.h>

#include <cmath>

#include "bovila/core/error.h"
#include "bovila/data/annotations.h"
#include "bovila/text/text.h"
#include "src/data/sets/annotation_file.h"

namespace bovila {
namespace {

constexpr size_t kShotDigits = 4;  // AnotherMissOh01_001_0078: the shot is the last four
constexpr double kMaxShot = 9999;

/// All shots from the first to the last of `shot_contained`, each a video of the feature store.
std::vector<FrameSpan> scene_clip(const Record& record, const std::string& scene) {
  const std::vector<double> shots = record.numbers("shot_contained");
  const bool valid = (shots.size() == 1 || shots.size() == 2) && shots.front() >= 0 &&
                     shots.front() <= shots.back() && shots.back() <= kMaxShot &&
                     std::trunc(shots.front()) == shots.front() &&
                     std::trunc(shots.back()) == shots.back();
  if (!valid) {
    record.problem(
        fmt::format("\"shot_contained\": expected a scene's first and last shot, "
                    "0 to {}, got [{}]",
                    kMaxShot, fmt::join(shots, ", ")));
    return {};
  }
  std::vector<FrameSpan> clip;
  const std::string prefix = scene.substr(0, scene.size() - kShotDigits);
  for (auto shot = static_cast<int>(shots.front()); shot <= shots.back(); ++shot) {
    clip.push_back({fmt::format("{}{:04}", prefix, shot), 0, FrameSpan::kToEnd});
  }
  return clip;
}

Sample read_dramaqa_question(const Record& record, int num_options) {
  Sample sample;
  sample.question_id = record.id("qid");
  sample.video_id = record.text("vid");
  sample.question = normalize_question(record.text("que"));
  sample.options = record.texts("answers", num_options);
  sample.answer = record.answer_index("correct_idx", num_options);
  if (record.has("q_level_logic")) {
    sample.types = {fmt::format("Level {}", record.integer("q_level_logic").value_or(0))};
  }
  sample.clip = sample.video_id.ends_with("0000")
                    ? scene_clip(record, sample.video_id)
                    : std::vector<FrameSpan>{{sample.video_id, 0, FrameSpan::kToEnd}};
  return sample;
}

}  // namespace

extern const QuestionForm dramaqa_form{};

std::vector<Sample> read_dramaqa(const AnnotationSource& source) {
  FileProblems problems(fmt::format("{}/AnotherMissOhQA_{}_set.json", source.folder, source.split),
                        "row");
  SampleCollector samples(problems, "correct_idx");
  read_json_list(problems,
                 {"qid", "vid", "que", "answers", "correct_idx", "shot_contained", "q_level_logic"},
                 [&](const Record& record) {
                   samples.add(record, read_dramaqa_question(record, source.num_options));
                 });
  return samples.finish();
}

}  // namespace bovila
