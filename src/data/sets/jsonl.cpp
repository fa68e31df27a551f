// One's own data set: {split}.jsonl, the lines that `bovila answer` reads, with their answers.
// Feeds data/annotations.h.
#include "bovila/core/error.h"
#include "bovila/data/annotations.h"
#include "bovila/data/query.h"
#include "src/data/sets/annotation_file.h"

namespace bovila {
namespace {

Sample read_jsonl_question(const std::string& line, const AnnotationSource& source) {
  Query query;
  parse_query(line, query);
  for (const std::string& type : query.types) {
    if (auto problem = type_problem("type", type); !problem.empty()) {
      query.problems.push_back(std::move(problem));
    }
  }
  return sample_of(query, source.frames_per_second, source.subtitles);
}

}  // namespace

extern const QuestionForm jsonl_form{.dialogue = plain_dialogue};

std::vector<Sample> read_jsonl(const AnnotationSource& source) {
  FileProblems problems(fmt::format("{}/{}.jsonl", source.folder, source.split), "line");
  SampleCollector samples(problems, "answer");
  read_lines(problems, [&](const std::string& line, int64_t place) {
    try {
      Sample sample = read_jsonl_question(line, source);
      const bool has_answer = sample.answer.has_value();
      samples.add(place, has_answer, std::move(sample));
    } catch (const UserError& error) {
      problems.add(place, error.what());
    }
  });
  return samples.finish();
}

}  // namespace bovila
