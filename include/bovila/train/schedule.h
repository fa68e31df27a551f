// Learning rate over a run: linear warm-up, then half a cosine. SPEC 6.
// Fed by the deck; feeds the optimizer once an optimizer step.
#pragma once

#include <cstdint>

#include "bovila/config/config.h"

namespace bovila {

/// The deck's lr, or blr * (questions of a full optimizer step) / 256.
double base_learning_rate(const TrainConfig& config, int64_t ranks);

/// Learning rate at `epoch` (fractional: 1.5 is the middle of the second), for the peak rate `lr`.
double learning_rate(const TrainConfig& config, double lr, double epoch);

}  // namespace bovila
