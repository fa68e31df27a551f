// Block of queries by block of queries, so that scores stay in the cache however long the text is.
#include "src/model/cpu/attention.h"

#include <algorithm>
#include <limits>
#include <memory>

#include "src/model/cpu/vector.h"

namespace bovila::cpu {
namespace {

constexpr int64_t kQueriesAtOnce = 32;
constexpr float kUnseen = -std::numeric_limits<float>::infinity();

/// A factor of a product: element (i, j) at values[i * row + j * column].
struct Factor {
  const float* values;
  int64_t row, column;
};

/// kRows rows and kLanes columns of c += a b, in registers.
template <int kRows>
BOVILA_INLINE void add_tile(const Factor& a, const float* b, int64_t b_row, int64_t inner, float* c,
                            int64_t c_row) {
  Vec sums[kRows];
  for (int i = 0; i < kRows; ++i) sums[i] = load(c + i * c_row);
  for (int64_t p = 0; p < inner; ++p) {
    const Vec row = load(b + p * b_row);
    for (int i = 0; i < kRows; ++i) sums[i] += a.values[i * a.row + p * a.column] * row;
  }
  for (int i = 0; i < kRows; ++i) store(c + i * c_row, sums[i]);
}

/// The same for kRows rows or as many as are left.
template <int kRows>
BOVILA_INLINE void add_rows(const Factor& a, const float* b, int64_t b_row, int64_t inner, float* c,
                            int64_t c_row, int64_t left) {
  if constexpr (kRows > 1) {
    if (left < kRows) return add_rows<kRows - 1>(a, b, b_row, inner, c, c_row, left);
  }
  add_tile<kRows>(a, b, b_row, inner, c, c_row);
}

/// A matrix whose rows lie `stride` apart.
template <typename Float>
struct Matrix {
  Float* values;
  int64_t stride;
};

/// c [rows, columns] += a [rows, inner] b [inner, columns]; columns are rounded up to kLanes.
BOVILA_INLINE void add_product(const Factor& a, const Matrix<const float>& b, int64_t rows,
                               int64_t columns, int64_t inner, const Matrix<float>& c) {
  constexpr int kRowsAtOnce = 6;  // with the row of b they fit into AVX2's sixteen registers
  for (int64_t j = 0; j < columns; j += kLanes) {
    const float* from = b.values + j;
    for (int64_t i = 0; i < rows; i += kRowsAtOnce) {
      const Factor part{a.values + i * a.row, a.row, a.column};
      float* to = c.values + i * c.stride + j;
      add_rows<kRowsAtOnce>(part, from, b.stride, inner, to, c.stride, rows - i);
    }
  }
}

/// [count, stride] of which `width` columns count, as [width, round_up(count)] with zeros.
BOVILA_INLINE void transpose(const float* from, int64_t count, int64_t width, int64_t stride,
                             float* to) {
  const int64_t padded = round_up(count);
  for (int64_t j = 0; j < width; ++j, to += padded) {
    for (int64_t i = 0; i < count; ++i) to[i] = from[i * stride + j];
    std::fill(to + count, to + padded, 0.0F);
  }
}

/// In place; `row` is a multiple of kLanes long.
BOVILA_INLINE void softmax(float* row, int64_t length) {
  Vec most = load(row);
  for (int64_t j = kLanes; j < length; j += kLanes) {
    const Vec some = load(row + j);
    most = some > most ? some : most;
  }
  float largest = most[0];
  for (int64_t i = 1; i < kLanes; ++i) largest = std::max(largest, most[i]);
  Vec sums{};
  for (int64_t j = 0; j < length; j += kLanes) {
    const Vec some = exp(load(row + j) - largest);
    store(row + j, some);
    sums += some;
  }
  const float factor = 1.0F / sum(sums);
  for (int64_t j = 0; j < length; j += kLanes) store(row + j, load(row + j) * factor);
}

BOVILA_INLINE void scale_by(float factor, float* values, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes) store(values + i, load(values + i) * factor);
}

/// What a block of queries needs of a branch, allocated once a call: a transposed matrix and a
/// block of scores, twice for the backward pass.
struct Scratch {
  Scratch(const HeadBranch& branch, int64_t width, int64_t times)
      : columns(round_up(branch.count)),
        size(columns * (width + kQueriesAtOnce)),
        memory(std::make_unique_for_overwrite<float[]>(static_cast<size_t>(times * size))),
        keys(memory.get()),
        block(keys + columns * width),
        values(keys + (times - 1) * size),
        other_block(block + (times - 1) * size) {}

  int64_t columns, size;
  std::unique_ptr<float[]> memory;
  float* keys;    // [width, columns]: the branch's, transposed
  float* block;   // [kQueriesAtOnce, columns]
  float* values;  // as the keys; the second half is the first one again when there is one alone
  float* other_block;
};

/// Some of the queries, and how many keys, from the first on, any of them sees.
struct Block {
  int64_t first, count, num_keys;
};

/// From `first` on. Later queries of a run see more: what the last one sees is enough.
BOVILA_INLINE Block block_from(int64_t first, const HeadQueries& queries,
                               const HeadBranch& branch) {
  const int64_t count = std::min(kQueriesAtOnce, queries.count - first);
  int64_t num_keys = branch.count;
  if (branch.mask != nullptr) {
    const float* mask = branch.mask + (first + count - 1) * branch.count;
    while (num_keys > 1 && mask[num_keys - 1] == kUnseen) --num_keys;
  }
  return {first, count, num_keys};
}

/// By 1 for the text: nothing to do.
BOVILA_INLINE void scale_rows(float factor, float* values, const Block& block,
                              const Scratch& scratch) {
  if (factor == 1) return;
  for (int64_t i = 0; i < block.count; ++i) {
    scale_by(factor, values + i * scratch.columns, round_up(block.num_keys));
  }
}

/// The block's softmax, into scratch.block.
BOVILA_INLINE void probabilities(const HeadQueries& queries, const HeadBranch& branch,
                                 const Block& block, const Scratch& scratch) {
  const int64_t stride = round_up(queries.width), columns = round_up(block.num_keys);
  for (int64_t i = 0; i < block.count; ++i) {
    std::fill_n(scratch.block + i * scratch.columns, columns, 0.0F);
  }
  add_product({queries.values + block.first * stride, stride, 1}, {scratch.keys, scratch.columns},
              block.count, columns, queries.width, {scratch.block, scratch.columns});
  for (int64_t i = 0; i < block.count; ++i) {
    float* row = scratch.block + i * scratch.columns;
    for (int64_t j = 0; j < block.num_keys; ++j) row[j] *= queries.scale;
    if (branch.mask != nullptr) {
      const float* mask = branch.mask + (block.first + i) * branch.count;
      for (int64_t j = 0; j < block.num_keys; ++j) row[j] += mask[j];
    }
    if (block.first + i >= branch.first_after) {
      float* video = row + branch.video_first;
      for (int64_t j = 0; j < branch.video_count; ++j) video[j] += branch.gate2;
    }
    std::fill(row + block.num_keys, row + columns, kUnseen);
    softmax(row, columns);
  }
}

/// From the softmax in scratch.block and its gradient in scratch.other_block, the gradient of the
/// scaled scores there; those of the gates are added.
BOVILA_INLINE void softmax_backward(const HeadQueries& queries, const HeadBranch& branch,
                                    const Block& block, const Scratch& scratch,
                                    HeadGradients& gradients) {
  const int64_t columns = round_up(block.num_keys);
  for (int64_t i = 0; i < block.count; ++i) {
    const float* soft = scratch.block + i * scratch.columns;
    float* d = scratch.other_block + i * scratch.columns;
    Vec products{};
    for (int64_t j = 0; j < columns; j += kLanes) products += load(soft + j) * load(d + j);
    const float along = sum(products);
    gradients.gate += along;
    for (int64_t j = 0; j < columns; j += kLanes) {
      store(d + j, load(soft + j) * (load(d + j) - along) * branch.gate);
    }
    if (block.first + i >= branch.first_after) {
      for (int64_t j = 0; j < branch.video_count; ++j) gradients.gate2 += d[branch.video_first + j];
    }
    scale_by(queries.scale, d, columns);
  }
}

}  // namespace

BOVILA_EACH_CPU void attend(const HeadQueries& queries, const HeadBranch& branch, float* out) {
  const int64_t stride = round_up(queries.width);
  const Scratch scratch(branch, queries.width, 1);
  transpose(branch.keys, branch.count, queries.width, stride, scratch.keys);
  for (int64_t first = 0; first < queries.count; first += kQueriesAtOnce) {
    const Block block = block_from(first, queries, branch);
    probabilities(queries, branch, block, scratch);
    scale_rows(branch.gate, scratch.block, block, scratch);
    add_product({scratch.block, scratch.columns, 1}, {branch.values, stride}, block.count, stride,
                block.num_keys, {out + first * stride, stride});
  }
}

BOVILA_EACH_CPU void attend_backward(const HeadQueries& queries, const HeadBranch& branch,
                                     const float* d_out, float* d_queries,
                                     HeadGradients& gradients) {
  const int64_t stride = round_up(queries.width);
  const Scratch scratch(branch, queries.width, 2);
  const int64_t columns = scratch.columns;
  float *soft = scratch.block, *d_scores = scratch.other_block;
  transpose(branch.keys, branch.count, queries.width, stride, scratch.keys);
  transpose(branch.values, branch.count, queries.width, stride, scratch.values);
  for (int64_t first = 0; first < queries.count; first += kQueriesAtOnce) {
    const Block block = block_from(first, queries, branch);
    const float *d_rows = d_out + first * stride, *rows = queries.values + first * stride;
    probabilities(queries, branch, block, scratch);
    std::fill_n(d_scores, block.count * columns, 0.0F);
    add_product({d_rows, stride, 1}, {scratch.values, columns}, block.count,
                round_up(block.num_keys), queries.width, {d_scores, columns});
    softmax_backward(queries, branch, block, scratch, gradients);
    scale_rows(branch.gate, soft, block, scratch);
    add_product({soft, 1, columns}, {d_rows, stride}, block.num_keys, stride, block.count,
                {gradients.values, stride});
    add_product({d_scores, 1, columns}, {rows, stride}, block.num_keys, stride, block.count,
                {gradients.keys, stride});
    add_product({d_scores, columns, 1}, {branch.keys, stride}, block.count, stride, block.num_keys,
                {d_queries + first * stride, stride});
  }
}

}  // namespace bovila::cpu
