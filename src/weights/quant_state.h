// What bitsandbytes says of a tensor of 4 bits, as the JSON text beside it. SPEC 13.
// Fed by W.quant_state.bitsandbytes__nf4; used by the readers and the writer of weights.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace bovila {

struct QuantState {
  int64_t rows = 0;
  int64_t columns = 0;
  std::string type = "float32";        // of the weights before, and of what is computed in
  std::optional<float> nested_offset;  // where scales are in 8 bits: their mean
};

/// `name` is the text's in messages. @throws UserError for what is no JSON, and for what is stored
/// in other blocks than ours: 64 weights, 256 scales.
QuantState read_quant_state(const std::string& name, const std::string& text);

std::string quant_state_text(const QuantState& state);

}  // namespace bovila
