// STAR: STAR_{split}.json, one list of questions about situations, four options (SPEC 4).
// Feeds data/annotations.h.
#include <fmt/ranges.h>

#include <algorithm>

#include "bovila/core/error.h"
#include "bovila/data/annotations.h"
#include "bovila/text/text.h"
#include "src/data/sets/annotation_file.h"

namespace bovila {
namespace {

constexpr std::string_view kTypes[] = {"Interaction", "Sequence", "Prediction", "Feasibility"};

std::vector<std::string> ordered_choices(const Record& record, int num_options) {
  std::vector<std::pair<int64_t, std::string>> choices;
  for (const Record& choice : record.records("choices")) {
    choices.emplace_back(choice.integer("choice_id").value_or(-1), choice.text("choice"));
  }
  std::stable_sort(choices.begin(), choices.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> options;
  for (size_t i = 0; i < choices.size(); ++i) {
    if (i > 0 && choices[i].first == choices[i - 1].first) {
      record.problem(fmt::format("two choices have the choice_id {}", choices[i].first));
    }
    options.push_back(std::move(choices[i].second));
  }
  if (options.size() != static_cast<size_t>(num_options)) {
    record.problem(fmt::format("expected {} choices, got {}", num_options, options.size()));
  }
  return options;
}

std::optional<int> find_answer(const Record& record, const std::vector<std::string>& options) {
  if (!record.has("answer")) return {};
  const std::string answer = record.text("answer");
  const auto found = std::find(options.begin(), options.end(), answer);
  if (found != options.end()) return static_cast<int>(found - options.begin());
  record.problem(fmt::format("the answer \"{}\" is not among the choices: \"{}\"", answer,
                             fmt::join(options, "\", \"")));
  return {};
}

/// 1..4 by the id's prefix: "Interaction_T1_13".
int question_type(const Record& record, std::string_view id) {
  const auto found = std::find(std::begin(kTypes), std::end(kTypes), id.substr(0, id.find('_')));
  if (found != std::end(kTypes)) return static_cast<int>(found - std::begin(kTypes)) + 1;
  record.problem(fmt::format("\"question_id\": expected a type ({}) before the first _, got \"{}\"",
                             fmt::join(kTypes, ", "), id));
  return -1;
}

Sample read_star_question(const Record& record, int num_options) {
  Sample sample;
  sample.question_id = record.text("question_id");
  sample.question_type = question_type(record, sample.question_id);
  sample.video_id = record.text("video_id");
  sample.question = normalize_question(record.text("question"));
  sample.options = ordered_choices(record, num_options);
  sample.answer = find_answer(record, sample.options);
  const auto times = record.interval(record.seconds("start"), record.seconds("end"));
  sample.clip = {rounded_span(sample.video_id, times)};
  return sample;
}

}  // namespace

extern const QuestionForm star_form{};

std::vector<Sample> read_star(const AnnotationSource& source) {
  FileProblems problems(fmt::format("{}/STAR_{}.json", source.folder, source.split), "row");
  SampleCollector samples(problems, "answer");
  read_json_list(problems,
                 {"question_id", "question", "video_id", "start", "end", "answer", "choices"},
                 [&](const Record& record) {
                   samples.add(record, read_star_question(record, source.num_options));
                 });
  return samples.finish();
}

}  // namespace bovila
