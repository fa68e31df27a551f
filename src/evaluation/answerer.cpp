// A question at a time through the evaluator's own scoring.
#include "bovila/evaluation/answerer.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "bovila/core/error.h"
#include "bovila/data/dataset.h"
#include "bovila/evaluation/evaluator.h"
#include "bovila/text/text.h"

namespace bovila {
namespace {

using nlohmann::ordered_json;

constexpr size_t kMaxLineBytes = size_t{1} << 20;

std::string to_line(const ordered_json& object) {
  return object.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

void put_id(ordered_json& object, const Query& query) {
  if (!query.id.empty()) object["id"] = ordered_json::parse(query.id);
}

/// The next line, of which no more than is needed to refuse it is kept; false at the end.
bool read_line(std::istream& in, std::string& line) {
  constexpr int kEnd = std::char_traits<char>::eof();
  line.clear();
  int next = in.rdbuf()->sbumpc();
  if (next == kEnd) return false;
  for (; next != '\n' && next != kEnd; next = in.rdbuf()->sbumpc()) {
    if (line.size() <= kMaxLineBytes) line.push_back(static_cast<char>(next));
  }
  return true;
}

std::string answer_line(const std::string& line, const Answerer& answerer,
                        const std::optional<Abstention>& abstention, Query& query) {
  if (line.size() > kMaxLineBytes)
    throw UserError("the line has more than {} bytes", kMaxLineBytes);
  parse_query(line, query);
  const OptionScores scores = answerer.answer(query);
  return answer_text(query, scores, abstention);
}

}  // namespace

Answerer::Answerer(const Config& config, const FeatureStore& features, const Tokenizer& tokenizer,
                   const Bovila& model)
    : config_(config), features_(features), prompts_(tokenizer, config), model_(model) {}

OptionScores Answerer::answer(Query& query) const {
  const Sample sample = make_sample(query, config_.data, features_);
  const auto question = make_options(sample, features_, prompts_, config_);
  const auto& longest = *std::ranges::max_element(question.options, {}, &Prompt::size);
  if (longest.size() > config_.model.max_seq_len) {
    throw UserError("the prompt has {} tokens, model.max_seq_len is {}: ask shorter, or raise it",
                    longest.size(), config_.model.max_seq_len);
  }
  const auto is_finite = [](double value) { return std::isfinite(value); };
  if (!std::ranges::all_of(question.frames, is_finite)) {
    throw UserError("the features of video \"{}\" are not finite: extract them again",
                    sample.video_id);
  }
  auto scores = score_options(model_, std::span(&question, 1), config_.loss).front();
  if (!std::ranges::all_of(scores.loss, is_finite)) {
    throw ProgramError(
        "the score of an option is not finite. {}",
        advice_for_non_finite(
            model_, "The trained parameters are too large for model.precision, or for any"));
  }
  return scores;
}

std::string answer_text(const Query& query, const OptionScores& scores,
                        const std::optional<Abstention>& abstention) {
  const int64_t chosen = scores.prediction();
  ordered_json object;
  put_id(object, query);
  object["video"] =
      query.videos.size() == 1 ? ordered_json(query.videos.front()) : ordered_json(query.videos);
  if (!query.missing.empty()) object["missing"] = query.missing;
  object["question"] = query.question;
  object["options"] = query.options;
  object["answer"] = std::string(1, static_cast<char>('A' + chosen));
  object["index"] = chosen;
  object["scores"] = scores.loss;
  object["uncertainty"] = scores.uncertainty[static_cast<size_t>(chosen)];
  if (abstention) {
    object["certainty"] = abstention->certainty_of(scores);
    object["abstains"] = abstention->abstains(scores);
  }
  return to_line(object);
}

int64_t answer_lines(std::istream& in, std::ostream& out, const Answerer& answerer,
                     const std::optional<Abstention>& abstention) {
  int64_t number = 0, refused = 0;
  for (std::string line; read_line(in, line);) {
    ++number;
    if (strip(line).empty()) continue;
    Query query;
    try {
      out << answer_line(line, answerer, abstention, query) << std::endl;
    } catch (const UserError& error) {
      ++refused;
      ordered_json object = {{"line", number}};
      put_id(object, query);
      object["error"] = error.what();
      out << to_line(object) << std::endl;
    }
    if (!out) throw ProgramError("the answer to line {} cannot be written", number);
  }
  return refused;
}

}  // namespace bovila
