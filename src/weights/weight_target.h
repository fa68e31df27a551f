// Where the tensors of a file of weights go, or the parts of them that this process holds.
// Fed by src/weights/llama_block.h's tensors; used by the readers of weights.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bovila/weights/llama_weights.h"
#include "src/weights/matrix_filler.h"

namespace bovila {

/// Some of the rows and columns of a tensor; a vector's have one column.
struct Region {
  int64_t first_row = 0, rows = 0, first_column = 0, columns = 1;

  bool operator==(const Region&) const = default;
  bool is_empty() const { return rows <= 0 || columns <= 0; }
  /// What is in both; empty where nothing is.
  Region within(const Region& other) const;
};
/// All of a tensor of this shape.
Region whole_region(const std::vector<int64_t>& shape);
/// The numbers of `region` in a tensor that has those of `whole`, in the same memory.
torch::Tensor cut(const torch::Tensor& tensor, const Region& whole, const Region& region);

/// A tensor of the block, or some rows of a matrix there, and what of a file's tensor it takes.
class WeightTarget {
 public:
  WeightTarget() = default;
  /// The whole of a tensor.
  WeightTarget(torch::Tensor values);  // NOLINT: each is one
  /// `values` are those of `region`.
  WeightTarget(torch::Tensor values, std::vector<int64_t> shape, const Region& region)
      : shape_(std::move(shape)), region_(region), values_(std::move(values)) {}
  /// The rows of `region` are those of `matrix` from `first` on.
  WeightTarget(std::shared_ptr<MatrixFiller> matrix, int64_t first, std::vector<int64_t> shape,
               const Region& region)
      : shape_(std::move(shape)), region_(region), matrix_(std::move(matrix)), first_(first) {}

  /// Of the whole tensor, as it is in the file.
  const std::vector<int64_t>& shape() const { return shape_; }
  Region whole() const { return whole_region(shape_); }
  /// What of the tensor has to be read.
  const Region& region() const { return region_; }
  /// The memory of region() itself where it is floating point; undefined elsewhere.
  const torch::Tensor& floats() const { return values_; }
  /// All values of region(). @throws as MatrixFiller::set.
  void set(const FrozenMatrix& values, const std::string& name) const;

 private:
  std::vector<int64_t> shape_;
  Region region_;
  torch::Tensor values_;
  std::shared_ptr<MatrixFiller> matrix_;
  int64_t first_ = 0;
};

/// Where the tensors of a layer go that stand one by one in files. `types` are those that the
/// weights were asked for in: a part's int8 columns have the scales of whole rows, its NF4-dq those
/// of the whole matrix, which therefore is read and stored before the part is cut from it.
struct LayerTargets {
  LayerTargets(const LlamaLayerWeights& layer, const LlamaParams& params, const LlamaPart& part,
               const WeightTypes& types);

  WeightTarget attention_norm, wq, wk, wv, wo, ffn_norm, w1, w3, w2;
};

}  // namespace bovila
