// A split's samples, and what concerns several questions of it.
#include <fmt/ranges.h>

#include <algorithm>

#include "bovila/core/counted.h"
#include "bovila/core/error.h"
#include "bovila/core/log.h"
#include "bovila/text/text.h"
#include "src/data/sets/annotation_file.h"

namespace bovila {
namespace {

constexpr std::string_view kFigures[] = {"acc", "uncertainty", "mean_of_types"};

}  // namespace

void SampleCollector::add(int64_t place, bool has_answer, Sample sample) {
  sample.row = static_cast<int64_t>(samples_.size());
  if (sample.question_id.empty()) sample.question_id = std::to_string(sample.row);
  if (!has_answer) unanswered_.push_back(place);
  const auto [first, is_new] = places_.emplace(sample.question_id, place);
  if (!is_new) {
    problems_.add(place, fmt::format("the id \"{}\" is that of {} {} too", sample.question_id,
                                     problems_.unit(), first->second));
  }
  samples_.push_back(std::move(sample));
}

std::vector<Sample> SampleCollector::finish() {
  if (unanswered_.size() < samples_.size()) {
    for (int64_t place : unanswered_) {
      problems_.add(place, fmt::format("\"{}\" is missing; other questions have it", answer_key_));
    }
  }
  problems_.throw_if_any();
  if (samples_.empty()) throw UserError("{} holds no question.", problems_.file());
  if (const int64_t whole = problems_.num_whole_videos(); whole > 0) {
    log::info("{}: {} of {} without times: the whole video is meant", problems_.file(), whole,
              counted(samples_.size(), "question"));
  }
  return std::move(samples_);
}

std::string type_problem(std::string_view key, std::string_view name) {
  if (std::ranges::count(kFigures, name) == 0) return "";
  return fmt::format("\"{}\": {} are figures of every log, got \"{}\": choose another name", key,
                     fmt::join(kFigures, ", "), name);
}

std::optional<std::string> plain_dialogue(std::string_view text) {
  if (text.empty()) return {};
  return std::string(text);
}

FrameSpan rounded_span(const std::string& video, const std::optional<Interval>& interval) {
  if (!interval) return {video, 0, FrameSpan::kToEnd};
  return {video, round_half_even(interval->start), round_half_even(interval->end) + 1};
}

}  // namespace bovila
