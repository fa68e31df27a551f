// glibc's two thresholds; other C libraries decide for themselves.
#include "bovila/core/heap.h"

#include <malloc.h>

#include <limits>

namespace bovila {

void keep_freed_memory() {
#ifdef __GLIBC__
  constexpr int kLargestForHeap = 32 << 20;  // larger blocks are mapped: glibc's own upper limit
  constexpr int kNever = std::numeric_limits<int>::max();
  mallopt(M_MMAP_THRESHOLD, kLargestForHeap);  // NOLINT(concurrency-mt-unsafe): no threads yet
  mallopt(M_TRIM_THRESHOLD, kNever);           // NOLINT(concurrency-mt-unsafe): no threads yet
#endif
}

}  // namespace bovila
