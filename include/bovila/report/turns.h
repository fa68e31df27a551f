// What turned options show (eval.options = "rotations"): does a model answer by the letter?
// Fed by the scores of an evaluation; feeds report/metrics.h, which words and writes it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bovila/data/dataset.h"
#include "bovila/evaluation/option_scores.h"

namespace bovila {

/// The option that is chosen in each order, the given one first.
std::vector<int64_t> chosen_by_turn(const OptionScores& scores);
/// The option that is chosen in most orders; of equals the one with the least mean loss.
int64_t majority(const OptionScores& scores);

/// Over all questions of an evaluation, each in all orders of its options: each letter stands
/// before each option once.
struct TurnedAnswers {
  /// A letter in all orders of all questions.
  struct Letter {
    double fair = 0;  ///< how often a choice that knows no letters would have it
    int64_t chosen = 0;
    int64_t right = 0;  ///< how often it was chosen where it was right
    int64_t asked = 0;  ///< how often it was right
  };
  int64_t questions = 0;
  int64_t consistent = 0;       ///< questions with the same answer in all orders
  int64_t majority_right = 0;   ///< of `known`
  int64_t known = 0;            ///< questions whose right answer is known
  std::vector<Letter> letters;  ///< A first

  /// Half the sum of |share chosen - fair share| over letters: 0 for none preferred.
  double letter_bias() const;
  /// Standard deviation over letters of how often the right answer is found under it: RStd of Zheng
  /// et al., arXiv:2309.03882. 0 where no right answer is known.
  double recall_deviation() const;
};
/// None of scores without turns.
std::optional<TurnedAnswers> measure_turns(const Dataset& data,
                                           std::span<const OptionScores> scores);
/// "75.00 % right by the majority of orders; the same answer in all orders of the options to 50.00
/// % of 4 questions; letters chosen, in %: A 30.0, ..."
std::string to_text(const TurnedAnswers& turns);

}  // namespace bovila
