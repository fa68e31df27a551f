// How a LLaMA that was trained on longer texts slows its rotary frequencies down.
// Fed by params.json or config.json (weights/llama_params.h); feeds model/rotary.h.
#pragma once

#include <cstdint>

namespace bovila {

struct RopeScaling {
  enum class Kind {
    kNone,
    kLinear,  ///< every frequency is divided by `factor`
    kLlama3,  ///< LLaMA-3.1: the slow ones only, see below
  };
  Kind kind = Kind::kNone;
  double factor = 1;
  // kLlama3 divides a frequency by `factor` that turns less than `low` times in `original_length`
  // positions, keeps one that turns more than `high` times, and blends in between.
  double low = 1;
  double high = 4;
  double original_length = 8192;
};

}  // namespace bovila
