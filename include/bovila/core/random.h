// Named random streams: every random number is keyed by what it is for, not by what ran before it.
// Fed by the deck's seed; feeds the sampler (order), the adapters (start values), Gumbel noise.
//
// A key depends on (seed, purpose, epoch, index) alone, so a question's noise is the same on any
// rank, at any number of ranks and after any restart (DESIGN of the program: reproducible by
// construction).
#pragma once

#include <cstdint>
#include <string_view>

namespace bovila {

/// Key of the stream `purpose` for one epoch and one item (a question's row, a parameter's number).
uint64_t stream_key(uint64_t seed, std::string_view purpose, uint64_t epoch = 0,
                    uint64_t index = 0);

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, the same on every platform.
class RandomStream {
 public:
  explicit RandomStream(uint64_t key) : state_(key) {}
  uint64_t next();
  /// Uniform in [0, bound), without bias. `bound` > 0.
  uint64_t below(uint64_t bound);

 private:
  uint64_t state_;
};

}  // namespace bovila
