// Where tensors lie in a block of weights.
#include "src/weights/llama_block.h"

#include "tests/unit/model/tiny_llama.h"

using namespace bovila;
using testing::block_params;
using testing::meta_tensors;
using testing::tiny_params;
using testing::weights_of;

TEST_CASE("tensors of a block lie one behind the other, aligned, and fill it") {
  std::vector<WeightTypes> all = {torch::kFloat32, torch::kBFloat16};
  for (const WeightForm form : testing::kSmallForms) all.push_back({torch::kFloat32, form});
  for (const WeightTypes& types : all) {
    size_t end = 0;
    for (const BlockTensor& tensor : block_tensors(block_params(), types)) {
      CHECK(tensor.offset % kWeightAlignment == 0);
      CHECK(tensor.offset >= end);
      CHECK(tensor.offset < end + kWeightAlignment);
      end = tensor.offset + tensor.values.nbytes();
    }
    CHECK(llama_block_size(block_params(), types) - end < kWeightAlignment);
  }
}

TEST_CASE("what a form consists of has bitsandbytes' names and shapes") {
  const auto shapes = [](WeightForm form) {
    std::map<std::string, std::vector<int64_t>> found;
    const std::string w2 = "layers.1.feed_forward.w2.";
    for (const BlockTensor& tensor : block_tensors(block_params(), {torch::kBFloat16, form})) {
      if (tensor.name.starts_with(w2)) {
        found[tensor.name.substr(w2.size())] = tensor.values.sizes().vec();
      }
    }
    return found;
  };
  using Shapes = std::map<std::string, std::vector<int64_t>>;
  CHECK(shapes(WeightForm::kBf16) == Shapes{{"weight", {64, 128}}});
  CHECK(shapes(WeightForm::kInt8) ==
        Shapes{{"weight", {64, 128}}, {"SCB", {64}}, {"weight_format", {}}});
  const std::string state = "weight.quant_state.bitsandbytes__nf4";
  CHECK(shapes(WeightForm::kNf4) == Shapes{{"weight", {4096, 1}},
                                           {"weight.absmax", {128}},
                                           {"weight.quant_map", {16}},
                                           {state, {256}}});
  CHECK(shapes(WeightForm::kNf4Dq) == Shapes{{"weight", {4096, 1}},
                                             {"weight.absmax", {128}},
                                             {"weight.quant_map", {16}},
                                             {"weight.nested_absmax", {1}},
                                             {"weight.nested_quant_map", {256}},
                                             {"weight.nested_offset", {}},
                                             {state, {256}}});
}

TEST_CASE("all LLaMA-1's weights take the bytes that the README's table has") {
  struct Size {
    int64_t dim, layers, hidden;
    double bf16, int8, nf4, nf4_dq;  // GB
  };
  for (const Size& size :
       {Size{4096, 32, 11008, 13.5, 7.0, 4.2, 3.9}, Size{5120, 40, 13824, 26.0, 13.4, 7.8, 7.2},
        Size{6656, 60, 17920, 65.1, 33.0, 18.9, 17.4},
        Size{8192, 80, 22016, 130.6, 65.8, 37.5, 34.5}}) {
    CAPTURE(size.dim);
    LlamaParams params;
    params.dim = size.dim;
    params.n_layers = size.layers;
    params.n_heads = params.n_kv_heads = size.dim / 128;
    params.given_hidden_dim = size.hidden;
    params.vocab_size = 32000;
    const auto gb = [&](WeightForm form) {
      const auto bytes = llama_weight_bytes(params, {torch::kBFloat16, form});
      return std::round(static_cast<double>(bytes) / 1e8) / 10;
    };
    CHECK(gb(WeightForm::kComputed) == size.bf16);
    CHECK(gb(WeightForm::kInt8) == size.int8);
    CHECK(gb(WeightForm::kNf4) == size.nf4);
    CHECK(gb(WeightForm::kNf4Dq) == size.nf4_dq);
  }
}

TEST_CASE("a tied output matrix takes no place in the block") {
  auto params = tiny_params();
  const auto size = llama_block_size(params, torch::kFloat32);
  params.tied_embeddings = true;
  CHECK(size - llama_block_size(params, torch::kFloat32) == 24 * 16 * sizeof(float));
}
