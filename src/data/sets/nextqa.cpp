// NExT-QA: {split}.csv with a header, five options, eight types of questions (SPEC 12).
// Feeds data/annotations.h.
#include "bovila/core/error.h"
#include "bovila/data/annotations.h"
#include "src/data/sets/annotation_file.h"
#include "src/data/sets/nextqa_rows.h"

namespace bovila {
namespace {

constexpr std::string_view kCausal[] = {"CW", "CH"}, kTemporal[] = {"TN", "TC", "TP"},
                           kDescriptive[] = {"DC", "DL", "DO"};
constexpr TypeFigure kNextqaFigures[] = {
    {"Acc_C", kCausal}, {"Acc_T", kTemporal}, {"Acc_D", kDescriptive}};

}  // namespace

extern const QuestionForm nextqa_form{.types = {.order = kNextqaTypes, .figures = kNextqaFigures}};

std::vector<Sample> read_nextqa(const AnnotationSource& source) {
  FileProblems problems(fmt::format("{}/{}.csv", source.folder, source.split), "line");
  SampleCollector samples(problems, "answer");
  read_nextqa_rows(problems, "video", [&](const Record& record, Sample sample) {
    samples.add(record, std::move(sample));
  });
  return samples.finish();
}

}  // namespace bovila
