// Everything that is wrong with a deck, collected so that it is reported at once.
// Fed by config/deck.h and config/validate.h; feeds the one UserError that the user sees.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bovila {

/// A place in a deck ("input/star.toml:12:3"), or without a line what stands for one
/// ("input/star.toml", "--set train.epochs=x"). Lines and columns count from 1; columns are
/// characters, not bytes.
struct DeckPlace {
  std::string source;
  uint32_t line = 0;
  uint32_t column = 0;

  std::string text() const;
};

class Problems {
 public:
  void add(DeckPlace place, std::string message);
  bool empty() const { return problems_.empty(); }
  /// @throws UserError with one line a problem, "place: message": first those with a line, by line
  /// and column, then the others as they were added. Nothing happens when there is none.
  void throw_if_any() const;

 private:
  struct Problem {
    DeckPlace place;
    std::string message;
  };
  std::vector<Problem> problems_;
};

/// The candidate that `word` most likely stands for: fewest insertions, deletions and replacements,
/// at most a third of its characters; empty when none is that near.
std::string_view nearest(std::string_view word, const std::vector<std::string_view>& candidates);

}  // namespace bovila
