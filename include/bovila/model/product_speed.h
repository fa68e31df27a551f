// How fast this CPU multiplies in fp32 and in bf16, measured, and which of the two to compute in.
// Feeds `model.precision = "auto"` (main/set_up.h).
//
// With AMX or AVX512-BF16 bf16 is several times as fast as fp32, without them it was measured at a
// quarter of it: no processor was seen between.
#pragma once

#include "bovila/dist/libtorch.h"

namespace bovila {

struct ProductSpeed {
  double fp32 = 0;  ///< GFLOP/s
  double bf16 = 0;
};

/// Multiplies with a frozen matrix in both types on this process's threads, for a fraction of a
/// second.
ProductSpeed measure_products();

/// bf16 where it is half as fast again as fp32, so that a disturbed measurement does not change the
/// type between two starts on one machine; else fp32, which rounds less.
torch::ScalarType faster_type(const ProductSpeed& speed);

}  // namespace bovila
