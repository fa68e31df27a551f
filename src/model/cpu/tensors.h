// From tensors to the kernels of this folder: which tensors they take, and on which threads.
#pragma once

#include "bovila/dist/libtorch.h"

namespace bovila::cpu {

inline bool takes(const torch::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == torch::kFloat32;
}

/// The row of a contiguous tensor, its last dimension, with that number.
inline float* row(const torch::Tensor& x, int64_t number) {
  return x.data_ptr<float>() + number * x.size(-1);
}

/// work(first, count) on LibTorch's threads, for parts of all rows that are worth a thread.
template <typename Work>
void each_row(int64_t width, int64_t rows, const Work& work) {
  constexpr int64_t kElementsOfAThread = 1 << 14;
  const int64_t grain = std::max<int64_t>(1, kElementsOfAThread / std::max<int64_t>(1, width));
  at::parallel_for(0, rows, grain, [&](int64_t first, int64_t last) { work(first, last - first); });
}

}  // namespace bovila::cpu
