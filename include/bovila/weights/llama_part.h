// Which part of every layer a process holds where several hold a LLaMA together. SPEC 14.
// Fed by run.tensor_parallel; used by weights/llama_weights.h and model/llama.h.
//
// Of wq, wk, wv, w1 and w3 a part has output rows, whole heads of them; of wo and w2 the input
// columns that take what these rows give. Embeddings, norms and head are whole in every part.
#pragma once

#include <cstdint>

namespace bovila {

struct LlamaPart {
  int64_t rank = 0;   ///< this process among those that hold the LLaMA together
  int64_t ranks = 1;  ///< how many they are

  bool is_whole() const { return ranks == 1; }
  /// How many of so many heads, rows or columns are in the part, and which is the first.
  int64_t size_of(int64_t count) const { return count / ranks; }
  int64_t first_of(int64_t count) const { return rank * size_of(count); }
};

}  // namespace bovila
