// Counting answers by order and by letter.
#include "bovila/report/turns.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "bovila/core/counted.h"

namespace bovila {
namespace {

std::vector<std::span<const double>> losses_by_turn(const OptionScores& scores) {
  const size_t options = scores.loss.size();
  std::vector<std::span<const double>> turns = {scores.loss};
  for (size_t at = 0; at < scores.turned.size(); at += options) {
    turns.push_back(std::span(scores.turned).subspan(at, options));
  }
  return turns;
}

void count_letters(const Sample& sample, std::span<const int64_t> chosen,
                   std::vector<TurnedAnswers::Letter>& letters) {
  const auto options = static_cast<int>(sample.options.size());
  letters.resize(std::max(letters.size(), sample.options.size()));
  for (int turn = 0; turn < std::ssize(chosen); ++turn) {
    const auto letter_of = [&](int64_t option) -> TurnedAnswers::Letter& {
      const int place = sample.place_of(static_cast<int>(option)) - turn;
      return letters[static_cast<size_t>((place + options) % options)];
    };
    for (int place = 0; place < options; ++place)
      letters[static_cast<size_t>(place)].fair += 1.0 / options;
    const int64_t option = chosen[static_cast<size_t>(turn)];
    ++letter_of(option).chosen;
    if (!sample.answer) continue;
    ++letter_of(*sample.answer).asked;
    if (option == *sample.answer) ++letter_of(option).right;
  }
}

/// "A 25.0, B 30.0"
template <typename Share>
std::string shares_text(std::span<const TurnedAnswers::Letter> letters, Share&& share) {
  std::vector<std::string> texts;
  for (size_t i = 0; i < letters.size(); ++i) {
    texts.push_back(fmt::format("{} {:.1f}", static_cast<char>('A' + i), 100 * share(letters[i])));
  }
  return fmt::format("{}", fmt::join(texts, ", "));
}

double recall(const TurnedAnswers::Letter& letter) {
  return letter.asked > 0 ? static_cast<double>(letter.right) / static_cast<double>(letter.asked)
                          : 0;
}

}  // namespace

std::vector<int64_t> chosen_by_turn(const OptionScores& scores) {
  std::vector<int64_t> chosen;
  for (const auto losses : losses_by_turn(scores)) {
    chosen.push_back(std::ranges::min_element(losses) - losses.begin());
  }
  return chosen;
}

int64_t majority(const OptionScores& scores) {
  const auto chosen = chosen_by_turn(scores);
  std::vector<std::pair<int64_t, double>> votes;  // and minus the sum of losses
  for (size_t option = 0; option < scores.loss.size(); ++option) {
    double sum = 0;
    for (const auto losses : losses_by_turn(scores)) sum += losses[option];
    votes.emplace_back(std::ranges::count(chosen, static_cast<int64_t>(option)), -sum);
  }
  return std::ranges::max_element(votes) - votes.begin();
}

double TurnedAnswers::letter_bias() const {
  double all = 0, off = 0;
  for (const Letter& letter : letters) {
    all += letter.fair;
    off += std::abs(static_cast<double>(letter.chosen) - letter.fair);
  }
  return all > 0 ? off / all / 2 : 0;
}

double TurnedAnswers::recall_deviation() const {
  double sum = 0, squares = 0, number = 0;
  for (const Letter& letter : letters) {
    if (letter.asked == 0) continue;
    sum += recall(letter);
    squares += recall(letter) * recall(letter);
    ++number;
  }
  return number > 0 ? std::sqrt(std::max(0.0, squares / number - sum * sum / number / number)) : 0;
}

std::optional<TurnedAnswers> measure_turns(const Dataset& data,
                                           std::span<const OptionScores> scores) {
  TurnedAnswers turns;
  for (const OptionScores& score : scores) {
    if (score.turned.empty()) continue;
    const Sample& sample = data.sample(score.row);
    const auto chosen = chosen_by_turn(score);
    ++turns.questions;
    if (std::ranges::count(chosen, chosen.front()) == std::ssize(chosen)) ++turns.consistent;
    if (sample.answer) {
      ++turns.known;
      if (majority(score) == *sample.answer) ++turns.majority_right;
    }
    count_letters(sample, chosen, turns.letters);
  }
  return turns.questions > 0 ? std::optional(turns) : std::nullopt;
}

std::string to_text(const TurnedAnswers& turns) {
  const auto percent = [](int64_t part, int64_t all) {
    return 100 * static_cast<double>(part) / static_cast<double>(all);
  };
  double choices = 0;
  for (const auto& letter : turns.letters) choices += letter.fair;
  std::string text = fmt::format(
      "the same answer in all orders of the options to {:.2f} % of {}; letters chosen, in %: {} "
      "({:.1f} away from none preferred)",
      percent(turns.consistent, turns.questions), counted(turns.questions, "question"),
      shares_text(turns.letters,
                  [&](const auto& letter) { return static_cast<double>(letter.chosen) / choices; }),
      100 * turns.letter_bias());
  if (turns.known == 0) return text;
  return fmt::format(
      "{:.2f} % right by the majority of orders; {}; right under each letter, in %: {} (standard "
      "deviation {:.1f})",
      percent(turns.majority_right, turns.known), text, shares_text(turns.letters, recall),
      100 * turns.recall_deviation());
}

}  // namespace bovila
