// bitsandbytes' own keys, in its order.
#include "src/weights/quant_state.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "bovila/core/error.h"
#include "src/weights/params_json.h"

namespace bovila {
namespace {

constexpr int64_t kBlock = 64, kScaleBlock = 256;

void require(const ParamsJson& state, const char* key, int64_t expected) {
  const auto got = state.required<int64_t>(key);
  if (got == expected) return;
  throw UserError("{}: {} is {}, expected {}, which is all that can be used", state.path(), key,
                  got, expected);
}

}  // namespace

QuantState read_quant_state(const std::string& name, const std::string& text) {
  const ParamsJson state(name, text);
  const auto type = state.required<std::string>("quant_type");
  if (type != "nf4") throw UserError("{}: quant_type is '{}', expected 'nf4'", name, type);
  require(state, "blocksize", kBlock);
  QuantState out;
  const auto shape = state.integers("shape");
  if (shape.size() != 2 || shape[0] <= 0 || shape[1] <= 0) {
    throw UserError("{}: shape is [{}], expected rows and columns", name, fmt::join(shape, ", "));
  }
  out.rows = shape[0];
  out.columns = shape[1];
  out.type = state.optional<std::string>("dtype", out.type);
  if (!state.has("nested_blocksize")) return out;
  require(state, "nested_blocksize", kScaleBlock);
  const auto offset = state.required<double>("nested_offset");
  if (!(std::abs(offset) <= std::numeric_limits<float>::max())) {
    throw UserError("{}: nested_offset is {}, expected a number of 32 bits", name, offset);
  }
  out.nested_offset = static_cast<float>(offset);
  return out;
}

std::string quant_state_text(const QuantState& state) {
  nlohmann::ordered_json json = {{"quant_type", "nf4"},
                                 {"blocksize", kBlock},
                                 {"dtype", state.type},
                                 {"shape", {state.rows, state.columns}}};
  if (state.nested_offset) {
    json["nested_blocksize"] = kScaleBlock;
    json["nested_dtype"] = "float32";
    json["nested_offset"] = static_cast<double>(*state.nested_offset);
  }
  return json.dump();
}

}  // namespace bovila
