// Numbers into a matrix of the block in the form that it has there, rows by rows.
// Fed by the readers of weights through src/weights/weight_target.h; fills
// src/weights/llama_block.h's matrices.
#pragma once

#include <functional>
#include <string>

#include "bovila/weights/llama_weights.h"

namespace bovila {

/// A matrix that is being filled, in any order of its rows.
class MatrixFiller {
 public:
  explicit MatrixFiller(FrozenMatrix to) : to_(std::move(to)), rows_left_(to_.rows()) {}
  /// A matrix of `rows` rows that `make` makes when the first of them come, and that lives until
  /// `take` has taken what it wants of it, when all are there.
  MatrixFiller(int64_t rows, std::function<FrozenMatrix()> make,
               std::function<void(const FrozenMatrix&)> take)
      : make_(std::move(make)), take_(std::move(take)), rows_left_(rows) {}

  /// Rows from `first` on, each once. What is stored in the same form is copied, all else expanded
  /// and stored anew. `name` is what messages call the rows.
  /// @throws UserError where int8 or NF4 would have to hold what is not finite.
  void set(int64_t first, const FrozenMatrix& rows, const std::string& name);

 private:
  void quantise(int64_t first, const torch::Tensor& rows, const std::string& name);
  torch::Tensor plain_scales();
  void finish();

  FrozenMatrix to_;
  std::function<FrozenMatrix()> make_;
  std::function<void(const FrozenMatrix&)> take_;
  int64_t rows_left_;
  torch::Tensor scales_;  // dq: fp32 of all rows, while some are missing
};

}  // namespace bovila
