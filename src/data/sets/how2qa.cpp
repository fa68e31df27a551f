// How2QA: {split}.csv with a header, four options (SPEC 4).
// Feeds data/annotations.h.
#include "bovila/core/error.h"
#include "bovila/data/annotations.h"
#include "bovila/text/text.h"
#include "src/data/sets/annotation_file.h"

namespace bovila {
namespace {

constexpr const char* kHow2qaOptionKeys[] = {"a0", "a1", "a2", "a3"};

std::optional<double> number(const Record& record, const char* column) {
  const std::string text = record.text(column);
  const auto value = parse_number(text);
  if (!value) {
    record.problem(fmt::format("column \"{}\": expected a number, got \"{}\"", column, text));
  }
  return value;
}

std::optional<int> answer(const Record& record) {
  if (!record.has("answer_id")) return {};
  const auto index = number(record, "answer_id");
  if (!index) return {};
  for (int option = 0; option < static_cast<int>(std::size(kHow2qaOptionKeys)); ++option) {
    if (*index == option) return option;
  }
  record.problem(fmt::format("column \"answer_id\": expected an option, 0 to {}, got {}",
                             std::size(kHow2qaOptionKeys) - 1, *index));
  return {};
}

Sample read_how2qa_question(const Record& record) {
  Sample sample;
  sample.video_id = record.text("video_id");
  sample.question = normalize_question(record.text("question"));
  for (const char* key : kHow2qaOptionKeys) sample.options.push_back(record.text(key));
  sample.answer = answer(record);
  const auto times = record.interval(number(record, "start"), number(record, "end"));
  sample.clip = {rounded_span(sample.video_id, times)};
  return sample;
}

}  // namespace

extern const QuestionForm how2qa_form{};

std::vector<Sample> read_how2qa(const AnnotationSource& source) {
  FileProblems problems(fmt::format("{}/{}.csv", source.folder, source.split), "line");
  SampleCollector samples(problems, "answer_id");
  read_csv_rows(problems, {"video_id", "question", "a0", "a1", "a2", "a3", "start", "end"},
                [&](const Record& record) { samples.add(record, read_how2qa_question(record)); });
  return samples.finish();
}

}  // namespace bovila
