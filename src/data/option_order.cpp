// Fisher-Yates over a stream that is named after the question.
#include "bovila/data/option_order.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "bovila/core/random.h"

namespace bovila {

void shuffle_options(std::span<Sample> samples, uint64_t seed) {
  for (Sample& sample : samples) {
    sample.order.resize(sample.options.size());
    std::iota(sample.order.begin(), sample.order.end(), 0);
    RandomStream random(stream_key(seed, "option order of " + sample.question_id));
    for (size_t i = sample.order.size(); i > 1; --i) {
      std::swap(sample.order[i - 1], sample.order[random.below(i)]);
    }
  }
}

void LetterCounts::add(const Sample& sample, int option) {
  counts_.resize(std::max(counts_.size(), sample.options.size()));
  ++counts_[static_cast<size_t>(sample.place_of(option))];
}

std::string LetterCounts::text() const {
  std::vector<std::string> letters;
  for (size_t i = 0; i < counts_.size(); ++i) {
    letters.push_back(fmt::format("{} {}", static_cast<char>('A' + i), counts_[i]));
  }
  return fmt::format("{}", fmt::join(letters, ", "));
}

int64_t LetterCounts::total() const {
  return std::accumulate(counts_.begin(), counts_.end(), int64_t{0});
}

std::optional<char> LetterCounts::nearly_all() const {
  constexpr int64_t kMinQuestions = 8;
  if (total() < kMinQuestions) return {};
  const auto most = std::ranges::max_element(counts_);
  if (10 * *most < 9 * total()) return {};
  return static_cast<char>('A' + (most - counts_.begin()));
}

LetterCounts right_letters(std::span<const Sample> samples) {
  LetterCounts counts;
  for (const Sample& sample : samples) {
    if (sample.answer) counts.add(sample, *sample.answer);
  }
  return counts;
}

std::string lopsided_text(const LetterCounts& right) {
  const auto letter = right.nearly_all();
  if (!letter) return "";
  return fmt::format(
      "{} is the right answer of {} of {} questions: accuracy also measures how much the model "
      "likes that letter. data.shuffle_options = true spreads them",
      *letter, right.of(*letter), right.total());
}

}  // namespace bovila
