// MVBench: TASK.json, a list of questions for each of its tasks, with two and more options (SPEC
// 12). Feeds data/annotations.h.
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "bovila/core/error.h"
#include "bovila/data/annotations.h"
#include "bovila/data/query.h"
#include "bovila/text/text.h"
#include "src/data/sets/annotation_file.h"

namespace bovila {
namespace {

namespace fs = std::filesystem;

/// The tasks of a split, sorted: all whose files are there, or the one that it names.
std::vector<std::string> tasks_of(const AnnotationSource& source) {
  if (source.split != "all") return {source.split};
  std::vector<std::string> tasks;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(source.folder, ignored)) {
    if (entry.path().extension() == ".json") tasks.push_back(entry.path().stem());
  }
  if (tasks.empty()) {
    throw UserError("{}: expected MVBench's files TASK.json in data.folder, got none",
                    source.folder);
  }
  std::ranges::sort(tasks);
  return tasks;
}

std::optional<int> answer_among(const Record& record, const std::vector<std::string>& options) {
  if (!record.has("answer")) return {};
  const std::string answer = record.text("answer");
  const auto found = std::ranges::find(options, answer);
  if (found != options.end()) return static_cast<int>(found - options.begin());
  record.problem(fmt::format("the answer \"{}\" is not among the candidates: \"{}\"", answer,
                             fmt::join(options, "\", \"")));
  return {};
}

Sample read_mvbench_question(const Record& record, const std::string& task) {
  Sample sample;
  sample.question_id = fmt::format("{}_{}", task, record.place() - 1);
  sample.types = {task};
  sample.video_id = record.text("video");
  sample.question = normalize_question(record.text("question"));
  sample.options = record.texts("candidates");
  if (sample.options.size() < kMinOptions || sample.options.size() > kMaxOptions) {
    record.problem(fmt::format("\"candidates\": expected {} to {} texts, got {}", kMinOptions,
                               kMaxOptions, sample.options.size()));
  }
  sample.answer = answer_among(record, sample.options);
  sample.clip = {{sample.video_id, 0, FrameSpan::kToEnd}};
  if (record.has("start") && record.has("end")) {
    const auto times = record.interval(record.number("start"), record.number("end"));
    if (times) sample.clip = {rounded_span(sample.video_id, *times)};
  }
  return sample;
}

}  // namespace

extern const QuestionForm mvbench_form{};

std::vector<Sample> read_mvbench(const AnnotationSource& source) {
  std::vector<Sample> all;
  for (const std::string& task : tasks_of(source)) {
    FileProblems problems(fmt::format("{}/{}.json", source.folder, task), "row");
    SampleCollector samples(problems, "answer");
    read_json_list(
        problems, {"video", "question", "candidates", "answer", "start", "end"},
        [&](const Record& record) { samples.add(record, read_mvbench_question(record, task)); });
    for (Sample& sample : samples.finish()) {
      sample.row = std::ssize(all);
      all.push_back(std::move(sample));
    }
  }
  return all;
}

}  // namespace bovila
