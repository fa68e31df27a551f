// Perception Test: mc_question_{split}.json or all_{split}.json, one object of videos with their
// questions, three options (SPEC 12). Feeds data/annotations.h.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "bovila/core/error.h"
#include "bovila/data/annotations.h"
#include "bovila/text/text.h"
#include "src/data/sets/annotation_file.h"

namespace bovila {
namespace {

/// The file of the multiple-choice questions alone, or that of all of the set's tasks.
std::string perceptiontest_file(const AnnotationSource& source) {
  const std::string split = source.split == "val" ? "valid" : source.split;
  const std::string own = fmt::format("{}/mc_question_{}.json", source.folder, split);
  const std::string all = fmt::format("{}/all_{}.json", source.folder, split);
  std::error_code ignored;
  return !std::filesystem::exists(own, ignored) && std::filesystem::exists(all, ignored) ? all
                                                                                         : own;
}

Sample read_perceptiontest_question(const Record& record, const std::string& video,
                                    int num_options) {
  Sample sample;
  sample.video_id = video;
  sample.question_id = fmt::format("{}_{}", video, record.id("id"));
  sample.question = normalize_question(record.text("question"));
  sample.options = record.texts("options", num_options);
  sample.answer = record.answer_index("answer_id", num_options);
  for (const char* kind : {"area", "reasoning"}) {
    if (record.has(kind)) sample.types.push_back(record.text(kind));
  }
  sample.clip = {{video, 0, FrameSpan::kToEnd}};
  return sample;
}

}  // namespace

extern const QuestionForm perceptiontest_form{};

std::vector<Sample> read_perceptiontest(const AnnotationSource& source) {
  FileProblems problems(perceptiontest_file(source), "video");
  SampleCollector samples(problems, "answer_id");
  const nlohmann::json videos = read_json_object(problems.file());
  int64_t place = 0;
  for (const auto& [video, fields] : videos.items()) {
    ++place;
    if (!fields.is_object()) {
      problems.add(place, fmt::format("\"{}\": expected an object ({{...}}), got {}", video,
                                      fields.type_name()));
      continue;
    }
    const Record of_video(fields, place, problems);
    if (!of_video.has("mc_question")) continue;  // a video of the other tasks
    for (const Record& record : of_video.records("mc_question")) {
      samples.add(record, read_perceptiontest_question(record, video, source.num_options));
    }
  }
  return samples.finish();
}

}  // namespace bovila
