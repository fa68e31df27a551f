// Numbers into a matrix of the block in the form that it has there, rows by rows.
// Fed by the readers of weights; fills src/weights/llama_block.h's matrices.
#pragma once

#include <memory>
#include <string>

#include "bovila/weights/llama_weights.h"

namespace bovila {

/// A matrix that is being filled, in any order of its rows.
class MatrixFiller {
 public:
  explicit MatrixFiller(FrozenMatrix to) : to_(std::move(to)), rows_left_(to_.rows()) {}

  const FrozenMatrix& matrix() const { return to_; }
  /// Rows from `first` on, each once. What is stored in the same form is copied, all else expanded
  /// and stored anew. `name` is what messages call the rows.
  /// @throws UserError where int8 or NF4 would have to hold what is not finite.
  void set(int64_t first, const FrozenMatrix& rows, const std::string& name);

 private:
  void quantise(int64_t first, const torch::Tensor& rows, const std::string& name);
  torch::Tensor plain_scales();
  void finish();

  FrozenMatrix to_;
  int64_t rows_left_;
  torch::Tensor scales_;  // dq: fp32 of all rows, while some are missing
};

/// Where one tensor of a file goes: a tensor of the block, or rows of a matrix there.
class WeightTarget {
 public:
  WeightTarget() = default;
  WeightTarget(torch::Tensor values) : values_(std::move(values)) {}  // NOLINT: each is one
  WeightTarget(std::shared_ptr<MatrixFiller> matrix, int64_t first, int64_t rows);

  std::vector<int64_t> shape() const;
  /// The memory itself where it is floating point; undefined elsewhere.
  const torch::Tensor& floats() const { return values_; }
  /// All values, of shape(). @throws as MatrixFiller::set.
  void set(const FrozenMatrix& values, const std::string& name) const;

 private:
  torch::Tensor values_;
  std::shared_ptr<MatrixFiller> matrix_;
  int64_t first_ = 0, rows_ = 0;
};

/// Where the tensors of a layer go that stand one by one in files.
struct LayerTargets {
  LayerTargets(const LlamaLayerWeights& layer, const LlamaParams& params);

  WeightTarget attention_norm, wq, wk, wv, wo, ffn_norm, w1, w3, w2;
};

}  // namespace bovila
