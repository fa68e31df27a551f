// Copied weights have the values, in the precision asked for, in memory of their own.
#include "bovila/weights/llama_copy.h"

#include <doctest/doctest.h>

#include "tests/unit/model/tiny_llama.h"

using namespace bovila;
using namespace bovila::testing;

namespace {

std::vector<torch::Tensor> tensors_of(const LlamaWeights& weights) {
  std::vector<torch::Tensor> all = {weights.tok_embeddings, weights.norm, weights.output};
  for (const LlamaLayerWeights& layer : weights.layers) {
    all.insert(all.end(), {layer.attention_norm, layer.wqkv.values, layer.wo.values, layer.ffn_norm,
                           layer.w13.values, layer.w2.values});
  }
  return all;
}

}  // namespace

TEST_CASE("a copy has the same values and shares nothing") {
  const auto weights = weights_of(tiny_params(), meta_tensors(tiny_params()));
  const auto copy = copy_of(weights, torch::kCPU, torch::kFloat32);
  CHECK(copy.params.vocab_size == weights.params.vocab_size);
  const auto from = tensors_of(weights), to = tensors_of(copy);
  REQUIRE(from.size() == to.size());
  for (size_t i = 0; i < from.size(); ++i) {
    CHECK(torch::equal(from[i], to[i]));
    CHECK(from[i].data_ptr() != to[i].data_ptr());
  }
}

TEST_CASE("a copy in bf16 is rounded") {
  const auto weights = weights_of(tiny_params(), meta_tensors(tiny_params()));
  const auto copy = copy_of(weights, torch::kCPU, torch::kBFloat16);
  const auto from = tensors_of(weights), to = tensors_of(copy);
  for (size_t i = 0; i < from.size(); ++i) CHECK(torch::equal(from[i].to(torch::kBFloat16), to[i]));
}

TEST_CASE("tied embeddings stay one tensor in a copy") {
  auto weights = weights_of(tiny_params(), meta_tensors(tiny_params()));
  weights.params.tied_embeddings = true;
  weights.output = weights.tok_embeddings;
  const auto copy = copy_of(weights, torch::kCPU, torch::kFloat32);
  CHECK(copy.output.data_ptr() == copy.tok_embeddings.data_ptr());
  CHECK(copy.output.data_ptr() != weights.output.data_ptr());
}

TEST_CASE("stored matrices keep their form in a copy of another precision") {
  const auto params = block_params();
  for (const WeightForm form : kSmallForms) {
    const auto weights = weights_of(params, meta_tensors(params), {torch::kFloat32, form});
    const auto copy = copy_of(weights, torch::kCPU, torch::kFloat16);
    CHECK((copy.norm.scalar_type() == torch::kFloat16));
    const FrozenMatrix &from = weights.layers[1].w13, &to = copy.layers[1].w13;
    CHECK(torch::equal(to.values, from.values));
    CHECK(to.values.data_ptr() != from.values.data_ptr());
    CHECK(torch::equal(to.expanded(torch::kFloat32), from.expanded(torch::kFloat32)));
  }
}
