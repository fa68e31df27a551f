// Every field of a CSV is a text: `None` and `NA` are options like any other.
#include "src/data/sets/nextqa_rows.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "bovila/text/text.h"

namespace bovila {
namespace {

constexpr const char* kNextqaOptionKeys[] = {"a0", "a1", "a2", "a3", "a4"};

std::optional<int> nextqa_answer(const Record& record) {
  if (!record.has("answer")) return {};
  const std::string text(strip(record.text("answer")));
  const char last = '0' + static_cast<char>(std::size(kNextqaOptionKeys)) - 1;
  if (text.size() == 1 && text[0] >= '0' && text[0] <= last) return text[0] - '0';
  record.problem(
      fmt::format("column \"answer\": expected an option, 0 to {}, got \"{}\"", last, text));
  return {};
}

/// The type's published number; -1 and a problem for one that is not known.
int nextqa_type(const Record& record, std::string_view type) {
  const auto found = std::ranges::find(kNextqaTypes, type, &TypeName::name);
  if (found != std::end(kNextqaTypes)) return static_cast<int>(found - kNextqaTypes) + 1;
  std::vector<std::string_view> names;
  for (const TypeName& known : kNextqaTypes) names.push_back(known.name);
  record.problem(
      fmt::format("column \"type\": expected one of {}, got \"{}\"", fmt::join(names, ", "), type));
  return -1;
}

}  // namespace

void read_nextqa_rows(FileProblems& problems, const char* video,
                      const std::function<void(const Record&, Sample)>& use) {
  read_csv_rows(problems, {video, "question", "qid", "type", "a0", "a1", "a2", "a3", "a4"},
                [&](const Record& record) {
                  Sample sample;
                  sample.video_id = record.text(video);
                  sample.question_id = fmt::format("{}_{}", sample.video_id, record.text("qid"));
                  sample.question = normalize_question(record.text("question"));
                  for (const char* key : kNextqaOptionKeys) {
                    sample.options.push_back(record.text(key));
                  }
                  sample.answer = nextqa_answer(record);
                  sample.types = {record.text("type")};
                  sample.question_type = nextqa_type(record, sample.types.front());
                  sample.clip = {{sample.video_id, 0, FrameSpan::kToEnd}};
                  use(record, std::move(sample));
                });
}

}  // namespace bovila
