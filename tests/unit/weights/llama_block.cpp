// Where tensors lie in a block of weights.
#include "src/weights/llama_block.h"

#include "tests/unit/model/tiny_llama.h"

using namespace bovila;
using testing::meta_tensors;
using testing::tiny_params;
using testing::weights_of;

TEST_CASE("tensors of a block lie one behind the other, aligned, and fill it") {
  for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
    size_t end = 0;
    for (const BlockTensor& tensor : block_tensors(tiny_params(2), type)) {
      CHECK(tensor.offset % kWeightAlignment == 0);
      CHECK(tensor.offset >= end);
      CHECK(tensor.offset < end + kWeightAlignment);
      end = tensor.offset + tensor.values.nbytes();
    }
    CHECK(llama_block_size(tiny_params(2), type) - end < kWeightAlignment);
  }
}

TEST_CASE("a tied output matrix takes no place in the block") {
  auto params = tiny_params();
  const auto size = llama_block_size(params, torch::kFloat32);
  params.tied_embeddings = true;
  CHECK(size - llama_block_size(params, torch::kFloat32) == 24 * 16 * sizeof(float));
}
