// Options under other letters: the same for a question always, and told in the old numbering.
#include "bovila/data/option_order.h"

#include <doctest/doctest.h>

#include "bovila/data/dataset.h"
#include "tests/unit/data/small_star.h"

using namespace bovila;
using testing::contains;
using testing::SmallStar;
using testing::star_questions;

namespace {

std::vector<Sample> questions(int count) {
  std::vector<Sample> samples(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    Sample& sample = samples[static_cast<size_t>(i)];
    sample.question_id = "q" + std::to_string(i);
    sample.options = {"a", "b", "c", "d"};
    sample.answer = 0;
  }
  return samples;
}

}  // namespace

TEST_CASE("shuffled options follow from the seed and the question's id alone") {
  auto all = questions(40), again = questions(40), other = questions(40);
  shuffle_options(all, 1);
  shuffle_options(std::span(again).last(20), 1);
  shuffle_options(other, 2);
  for (size_t i = 20; i < 40; ++i) CHECK(all[i].order == again[i].order);
  int differ = 0;
  for (size_t i = 0; i < 40; ++i) differ += all[i].order != other[i].order ? 1 : 0;
  CHECK(differ > 20);
}

TEST_CASE("shuffled options spread right answers over all letters") {
  auto samples = questions(400);
  CHECK(right_letters(samples).text() == "A 400, B 0, C 0, D 0");
  CHECK(contains(lopsided_text(right_letters(samples)),
                 "A is the right answer of 400 of 400 questions"));
  shuffle_options(samples, 0);
  const LetterCounts right = right_letters(samples);
  CHECK(right.total() == 400);
  for (const char letter : {'A', 'B', 'C', 'D'}) CHECK(right.of(letter) > 60);
  CHECK(lopsided_text(right).empty());
}

TEST_CASE("a few questions, or hidden answers, are no reason for a warning") {
  auto samples = questions(7);
  CHECK(lopsided_text(right_letters(samples)).empty());
  for (Sample& sample : samples) sample.answer.reset();
  CHECK(right_letters(samples).total() == 0);
}

TEST_CASE("prompts show shuffled options under their letters, and keep their numbering") {
  SmallStar star(star_questions(1));
  Sample sample = star.data->sample(0);
  sample.order = {2, 0, 3, 1};
  Sample moved = sample;
  moved.order.clear();
  for (size_t place = 0; place < 4; ++place) {
    moved.options[place] = sample.options[static_cast<size_t>(sample.order[place])];
  }
  moved.answer = sample.place_of(*sample.answer);
  CHECK(moved.answer == 1);
  const PromptBuilder& prompts = star.data->prompts();
  CHECK(prompts.vaq(sample).tokens == prompts.vaq(moved).tokens);
  for (int option = 0; option < 4; ++option) {
    CHECK(prompts.vqa(sample, option).tokens == prompts.vqa(moved, sample.place_of(option)).tokens);
    CHECK(sample.option_at(sample.place_of(option)) == option);
  }
}

TEST_CASE("a data set's options are shuffled when the deck says so, as published otherwise") {
  SmallStar star(star_questions(8));
  for (const Sample& sample : star.data->samples()) CHECK(sample.order.empty());
  star.config.data.shuffle_options = true;
  const Dataset shuffled(star.config, "val", *star.features, *star.tokenizer);
  for (const Sample& sample : shuffled.samples()) CHECK(sample.order.size() == 4);
}
