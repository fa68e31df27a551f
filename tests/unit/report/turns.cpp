// What turned options show, by hand.
#include "bovila/report/turns.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "bovila/data/probes.h"
#include "tests/unit/data/small_star.h"

using namespace bovila;
using doctest::Approx;
using testing::SmallStar;
using testing::star_question;

namespace {

/// The losses of four options of which one is the least.
std::vector<double> losses_of(int64_t option, double least = 1) {
  std::vector<double> losses(4, 2);
  losses[static_cast<size_t>(option)] = least;
  return losses;
}

/// A question's scores with these options chosen, the given order first.
OptionScores choosing_by_turn(int64_t row, const std::vector<int64_t>& chosen) {
  OptionScores scores{row, losses_of(chosen[0]), {0, 0, 0, 0}};
  for (size_t turn = 1; turn < chosen.size(); ++turn) {
    for (const double loss : losses_of(chosen[turn])) scores.turned.push_back(loss);
  }
  return scores;
}

}  // namespace

TEST_CASE("turns: the majority wins, and of equals the least mean loss") {
  CHECK(chosen_by_turn(choosing_by_turn(0, {0, 2, 2, 1})) == std::vector<int64_t>{0, 2, 2, 1});
  CHECK(majority(choosing_by_turn(0, {0, 2, 2, 1})) == 2);
  OptionScores tied = choosing_by_turn(0, {0, 0, 2, 2});
  CHECK(majority(tied) == 0);
  tied.turned[4 + 2] = 0.5;
  CHECK(majority(tied) == 2);
  CHECK(majority({0, losses_of(3), {0, 0, 0, 0}}) == 3);
}

TEST_CASE("turns: a model that knows the answer, and one that always says B") {
  const SmallStar star(
      nlohmann::json::array({star_question("Sequence_1", 1), star_question("Sequence_2", 3)}));
  const std::vector knowing = {choosing_by_turn(0, {1, 1, 1, 1}),
                               choosing_by_turn(1, {3, 3, 3, 3})};
  const auto known = measure_turns(*star.data, knowing).value();
  CHECK(known.questions == 2);
  CHECK(known.consistent == 2);
  CHECK(known.majority_right == 2);
  CHECK(known.letter_bias() == 0);
  CHECK(known.recall_deviation() == 0);
  for (const auto& letter : known.letters) {
    CHECK(letter.chosen == 2);
    CHECK(letter.right == 2);
    CHECK(letter.asked == 2);
  }
  // Turned by t, B is before option 1 + t.
  const std::vector biased = {choosing_by_turn(0, {1, 2, 3, 0}), choosing_by_turn(1, {1, 2, 3, 0})};
  const auto b = measure_turns(*star.data, biased).value();
  CHECK(b.questions == 2);
  CHECK(b.known == 2);
  CHECK(b.consistent == 0);
  CHECK(b.majority_right == 0);  // all equal: the first option
  CHECK(b.letters[1].chosen == 8);
  CHECK(b.letters[1].right == 2);
  CHECK(b.letters[0].chosen == 0);
  CHECK(b.letter_bias() == Approx(0.75));
  CHECK(b.recall_deviation() == Approx(std::sqrt(3.0 / 16)));
  CHECK(to_text(b) ==
        "0.00 % right by the majority of orders; the same answer in all orders of the options to "
        "0.00 % of 2 questions; letters chosen, in %: A 0.0, B 100.0, C 0.0, D 0.0 (75.0 away from "
        "none preferred); right under each letter, in %: A 0.0, B 100.0, C 0.0, D 0.0 (standard "
        "deviation 43.3)");
  const std::vector given = {OptionScores{0, losses_of(1), {0, 0, 0, 0}}};
  CHECK_FALSE(measure_turns(*star.data, given));
}

TEST_CASE("turns: letters are those of the prompts, also where options were shuffled") {
  SmallStar star(nlohmann::json::array({star_question("Sequence_1", 1)}));
  star.config.data.shuffle_options = true;
  for (int64_t seed = 0; seed < 5; ++seed) {
    star.config.train.seed = seed;
    const Dataset data(star.config, "val", *star.features, *star.tokenizer);
    std::vector<int64_t> always_c;
    for (int turn = 0; turn < 4; ++turn) {
      always_c.push_back(turned(data.sample(0), turn).option_at(2));
    }
    const auto found = measure_turns(data, std::vector{choosing_by_turn(0, always_c)}).value();
    CHECK(found.letters[2].chosen == 4);
    CHECK(found.letters[2].right == 1);
  }
}

TEST_CASE("turns: where answers are hidden, what is right is not told") {
  const SmallStar star(nlohmann::json::array({star_question("Sequence_1", -1)}));
  const auto found =
      measure_turns(*star.data, std::vector{choosing_by_turn(0, {0, 0, 0, 1})}).value();
  CHECK(found.known == 0);
  CHECK(found.recall_deviation() == 0);
  CHECK(to_text(found) ==
        "the same answer in all orders of the options to 0.00 % of 1 question; letters chosen, in "
        "%: A 25.0, B 0.0, C 50.0, D 25.0 (25.0 away from none preferred)");
}
