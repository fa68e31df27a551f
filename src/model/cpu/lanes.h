// How many numbers the kernels of this folder take at once: rows are padded to a multiple.
#pragma once

#include <cstdint>

namespace bovila::cpu {

constexpr int64_t kLanes = 16;

constexpr int64_t round_up(int64_t count) {
  return (count + kLanes - 1) / kLanes * kLanes;
}

}  // namespace bovila::cpu
