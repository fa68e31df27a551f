// EgoSchema: questions.json, and the answers of 500 of them in subset_answers.json; five options
// (SPEC 12). Feeds data/annotations.h.
#include <fmt/ranges.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "bovila/core/error.h"
#include "bovila/data/annotations.h"
#include "bovila/text/text.h"
#include "src/data/sets/annotation_file.h"

namespace bovila {
namespace {

constexpr const char* kEgoschemaOptionKeys[] = {"option 0", "option 1", "option 2", "option 3",
                                                "option 4"};

/// The right option of each question of the subset.
std::map<std::string, int> read_subset_answers(const std::string& path) {
  FileProblems problems(path, "entry");
  std::map<std::string, int> answers;
  const nlohmann::json entries = read_json_object(path);
  int64_t place = 0;
  for (const auto& [uid, entry] : entries.items()) {
    const nlohmann::json fields = {{"answer", entry}};
    const auto answer =
        Record(fields, ++place, problems).answer_index("answer", std::size(kEgoschemaOptionKeys));
    if (answer) {
      answers[uid] = *answer;
    } else if (entry.is_null()) {
      problems.add(place, fmt::format("\"{}\" has no answer", uid));
    }
  }
  problems.throw_if_any();
  return answers;
}

Sample read_egoschema_question(const Record& record) {
  Sample sample;
  sample.question_id = sample.video_id = record.text("q_uid");
  sample.question = normalize_question(record.text("question"));
  for (const char* key : kEgoschemaOptionKeys) sample.options.push_back(record.text(key));
  sample.clip = {{sample.video_id, 0, FrameSpan::kToEnd}};
  return sample;
}

}  // namespace

extern const QuestionForm egoschema_form{};

std::vector<Sample> read_egoschema(const AnnotationSource& source) {
  const bool subset = source.split == "subset";
  if (!subset && source.split != "test") {
    throw UserError(
        "EgoSchema's splits are \"subset\", the questions whose answers are in "
        "subset_answers.json, and \"test\", all of them with hidden answers; got \"{}\"",
        source.split);
  }
  auto answers = subset ? read_subset_answers(source.folder + "/subset_answers.json")
                        : std::map<std::string, int>();
  FileProblems problems(source.folder + "/questions.json", "row");
  SampleCollector samples(problems, "answer");
  std::vector<std::string> keys = {"q_uid", "question"};
  keys.insert(keys.end(), std::begin(kEgoschemaOptionKeys), std::end(kEgoschemaOptionKeys));
  read_json_list(problems, keys, [&](const Record& record) {
    Sample sample = read_egoschema_question(record);
    if (const auto answer = answers.extract(sample.question_id)) {
      sample.answer = answer.mapped();
    } else if (subset) {
      return;
    }
    const bool has_answer = sample.answer.has_value();
    samples.add(record.place(), has_answer, std::move(sample));
  });
  problems.throw_if_any();
  if (!answers.empty()) {
    throw UserError("{}: {} questions of subset_answers.json are not in it, \"{}\" the first",
                    problems.file(), answers.size(), answers.begin()->first);
  }
  return samples.finish();
}

}  // namespace bovila
