// Which letter an option has in the prompts, and how letters are spread over right answers.
// Fed by samples and data.shuffle_options; feeds data/prompt.h, and reports with counts.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bovila/data/sample.h"

namespace bovila {

/// Gives each question an order of its options (Sample::order) that depends on the seed and its id
/// alone: the same in every epoch, in training and in evaluation.
void shuffle_options(std::span<Sample> samples, uint64_t seed);

/// How many questions have an option under each letter, A first.
class LetterCounts {
 public:
  /// Counts the letter of `option` in the question's prompts.
  void add(const Sample& sample, int option);
  /// "A 3, B 0, C 5, D 4"
  std::string text() const;
  int64_t total() const;
  /// The letter that nine in ten have, of at least eight.
  std::optional<char> nearly_all() const;
  int64_t of(char letter) const { return counts_[static_cast<size_t>(letter - 'A')]; }

 private:
  std::vector<int64_t> counts_;
};

/// Of the right answers of a split; nothing is counted where it hides them.
LetterCounts right_letters(std::span<const Sample> samples);

/// What to know of a split whose right answers have one letter; "" where they do not.
std::string lopsided_text(const LetterCounts& right);

}  // namespace bovila
