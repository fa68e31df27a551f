// IntentQA: {split}.csv, NExT-QA's columns with `video_id`, five options (SPEC 12).
// Feeds data/annotations.h.
#include <set>

#include "bovila/core/error.h"
#include "bovila/data/annotations.h"
#include "src/data/sets/annotation_file.h"
#include "src/data/sets/nextqa_rows.h"

namespace bovila {
namespace {

constexpr std::string_view kTemporalIntents[] = {"TP", "TN"};
constexpr TypeFigure kIntentqaFigures[] = {{"TP&TN", kTemporalIntents}};

}  // namespace

extern const QuestionForm intentqa_form{
    .types = {.order = kNextqaTypes, .figures = kIntentqaFigures}};

std::vector<Sample> read_intentqa(const AnnotationSource& source) {
  FileProblems problems(fmt::format("{}/{}.csv", source.folder, source.split), "line");
  SampleCollector samples(problems, "answer");
  std::set<std::string> ids;
  read_nextqa_rows(problems, "video_id", [&](const Record& record, Sample sample) {
    // qid counts NExT-QA's questions of the video, of which this set may show one twice.
    if (!ids.insert(sample.question_id).second) {
      sample.question_id += fmt::format("_line{}", record.place());
    }
    samples.add(record, std::move(sample));
  });
  return samples.finish();
}

}  // namespace bovila
