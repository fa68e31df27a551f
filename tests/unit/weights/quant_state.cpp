// bitsandbytes' text about a tensor of 4 bits, as it writes it, and what cannot be used.
#include "src/weights/quant_state.h"

#include <doctest/doctest.h>

#include "bovila/core/error.h"

using namespace bovila;

namespace {

constexpr const char* kText =
    R"({"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [192, 576],)"
    R"( "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.05207466706633568})";

std::string problem(std::string from, const std::string& to) {
  std::string text = kText;
  text.replace(text.find(from), from.size(), to);
  try {
    read_quant_state("w", text);
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a quant_state of bitsandbytes is read, and written as it writes it") {
  const QuantState state = read_quant_state("w", kText);
  CHECK(state.rows == 192);
  CHECK(state.columns == 576);
  CHECK(state.type == "bfloat16");
  CHECK(state.nested_offset == 0.05207466706633568F);
  std::string text = kText;
  for (size_t blank = 0; (blank = text.find(' ')) != std::string::npos;) text.erase(blank, 1);
  CHECK(quant_state_text(state) == text);
  CHECK_FALSE(read_quant_state("w", quant_state_text({3, 64, "float32", {}})).nested_offset);
}

TEST_CASE("a quant_state of other blocks, or of nonsense, is refused") {
  CHECK(problem("\"nf4\"", "\"fp4\"") == "w: quant_type is 'fp4', expected 'nf4'");
  CHECK(problem("\"blocksize\": 64", "\"blocksize\": 128") ==
        "w: blocksize is 128, expected 64, which is all that can be used");
  CHECK(problem("256", "64") ==
        "w: nested_blocksize is 64, expected 256, which is all that can be "
        "used");
  CHECK(problem("[192, 576]", "[192]") == "w: shape is [192], expected rows and columns");
  CHECK(problem("[192, 576]", "[192, -1]") == "w: shape is [192, -1], expected rows and columns");
  CHECK(problem("[192, 576]", "[192, 0.5]") ==
        "w: 'shape' must be a list of whole numbers, got [192,0.5]");
  CHECK(problem("[192, 576]", "7") == "w: 'shape' must be a list of whole numbers, got 7");
  CHECK(problem("0.05207466706633568", "1e300") ==
        "w: nested_offset is 1e+300, expected a number of 32 bits");
  CHECK(problem(", \"nested_offset\": 0.05207466706633568", "") ==
        "w: the key 'nested_offset' is missing");
  CHECK(problem("{", "") == "w is not a JSON object");
}
