// Regions, and which of them each matrix of a layer takes.
#include "src/weights/weight_target.h"

#include <algorithm>

#include "src/weights/llama_block.h"

namespace bovila {
namespace {

using torch::Tensor;

/// How a matrix is cut into parts.
enum class PartCut { kRows, kColumns };

/// What a part has of a matrix of this shape.
Region region_of(int64_t rows, int64_t columns, PartCut how, const LlamaPart& part) {
  if (how == PartCut::kRows) return {part.first_of(rows), part.size_of(rows), 0, columns};
  return {0, rows, part.first_of(columns), part.size_of(columns)};
}

/// Whether numbers of the part depend on others than those that it has.
bool follows_from_whole(WeightForm form, PartCut how, const LlamaPart& part) {
  if (part.is_whole()) return false;
  return form == WeightForm::kNf4Dq || (form == WeightForm::kInt8 && how == PartCut::kColumns);
}

/// Matrices with these numbers of rows, one under the other.
struct Stack {
  std::vector<int64_t> rows;
  int64_t columns = 0;
  PartCut how = PartCut::kRows;
};

/// The part's rows and columns of a whole stack, as they are stored, to `to`.
void take_part(const FrozenMatrix& whole, const Stack& stack, const LlamaPart& part,
               const FrozenMatrix& to) {
  int64_t first = 0, first_of_whole = 0;
  for (const int64_t rows : stack.rows) {
    const Region region = region_of(rows, stack.columns, stack.how, part);
    const auto from = whole.row_range(first_of_whole + region.first_row, region.rows)
                          .column_range(region.first_column, region.columns);
    const auto there = to.row_range(first, region.rows);
    there.values.copy_(from.values);
    there.scales.copy_(from.plain_scales());
    first += region.rows;
    first_of_whole += rows;
  }
}

std::shared_ptr<MatrixFiller> filler_of(const FrozenMatrix& to, const Stack& stack,
                                        const LlamaPart& part, const WeightTypes& types) {
  if (!follows_from_whole(types.form, stack.how, part)) return std::make_shared<MatrixFiller>(to);
  int64_t rows = 0;
  for (const int64_t count : stack.rows) rows += count;
  return std::make_shared<MatrixFiller>(
      rows, [=] { return empty_matrix(rows, stack.columns, types); },
      [=](const FrozenMatrix& whole) { take_part(whole, stack, part, to); });
}

/// One target for each matrix of the stack, whose part `to` is.
std::vector<WeightTarget> targets_of(const FrozenMatrix& to, const Stack& stack,
                                     const LlamaPart& part, const WeightTypes& types) {
  const auto filler = filler_of(to, stack, part, types);
  const bool is_cut_later = follows_from_whole(types.form, stack.how, part);
  std::vector<WeightTarget> targets;
  int64_t first = 0;
  for (const int64_t rows : stack.rows) {
    const std::vector<int64_t> shape = {rows, stack.columns};
    const Region region =
        region_of(rows, stack.columns, stack.how, is_cut_later ? LlamaPart() : part);
    if (to.is_floating()) {
      targets.emplace_back(to.row_range(first, region.rows).values, shape, region);
    } else {
      targets.emplace_back(filler, first, shape, region);
    }
    first += region.rows;
  }
  return targets;
}

}  // namespace

Region Region::within(const Region& other) const {
  Region both;
  both.first_row = std::max(first_row, other.first_row);
  both.rows = std::min(first_row + rows, other.first_row + other.rows) - both.first_row;
  both.first_column = std::max(first_column, other.first_column);
  both.columns =
      std::min(first_column + columns, other.first_column + other.columns) - both.first_column;
  return both;
}

Region whole_region(const std::vector<int64_t>& shape) {
  return {0, shape[0], 0, shape.size() > 1 ? shape[1] : 1};
}

Tensor cut(const Tensor& tensor, const Region& whole, const Region& region) {
  const auto rows = tensor.narrow(0, region.first_row - whole.first_row, region.rows);
  if (tensor.dim() == 1) return rows;
  return rows.narrow(1, region.first_column - whole.first_column, region.columns);
}

WeightTarget::WeightTarget(Tensor values)
    : shape_(values.sizes().vec()), values_(std::move(values)) {
  region_ = whole();
}

void WeightTarget::set(const FrozenMatrix& values, const std::string& name) const {
  if (values_.defined()) {
    values_.copy_(values.is_floating() ? values.values : values.expanded(values_.scalar_type()));
  } else {
    matrix_->set(first_, values, name);
  }
}

LayerTargets::LayerTargets(const LlamaLayerWeights& layer, const LlamaParams& p,
                           const LlamaPart& part, const WeightTypes& types)
    : attention_norm(layer.attention_norm), ffn_norm(layer.ffn_norm) {
  const int64_t hidden = p.hidden_dim();
  const auto qkv =
      targets_of(layer.wqkv, {{p.dim, p.kv_dim(), p.kv_dim()}, p.dim, PartCut::kRows}, part, types);
  wq = qkv[0], wk = qkv[1], wv = qkv[2];
  wo = targets_of(layer.wo, {{p.dim}, p.dim, PartCut::kColumns}, part, types).front();
  const auto w13 = targets_of(layer.w13, {{hidden, hidden}, p.dim, PartCut::kRows}, part, types);
  w1 = w13[0], w3 = w13[1];
  w2 = targets_of(layer.w2, {{p.dim}, hidden, PartCut::kColumns}, part, types).front();
}

}  // namespace bovila
