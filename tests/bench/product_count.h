// Operations of matrix products, counted from the shapes of their factors while LibTorch is asked
// for them. Feeds tests/bench/speed.cpp, which divides them by time.
#pragma once

#include <cstdint>

namespace bovila::testing {

/// Counts from its construction to its end, on all threads. A product of [m, k] and [k, n] is
/// 2 m k n operations, each of a batch. What is not a product of two matrices is not counted, nor
/// what model/cpu computes itself: attention in fp32 on the CPU.
class ProductCount {
 public:
  ProductCount();
  ~ProductCount();
  ProductCount(const ProductCount&) = delete;
  ProductCount& operator=(const ProductCount&) = delete;

  int64_t operations() const;

 private:
  uint64_t handle_;  // of LibTorch's callback
};

}  // namespace bovila::testing
