// Frames as tokens: the formula, the zero rows, and the compute type.
#include "bovila/model/video_embedding.h"

#include <doctest/doctest.h>

#include "tests/unit/model/tiny_llama.h"

using namespace bovila;

TEST_CASE("a frame's token is its projection plus the embedding of its place") {
  const Bovila model = testing::tiny_bovila();
  const auto& parameters = model.parameters();
  torch::manual_seed(2);
  const auto frames = torch::randn({2, 3, 768});
  const auto tokens = model.video(frames);
  REQUIRE(tokens.sizes() == torch::IntArrayRef({2, 3, 16}));
  for (int64_t b = 0; b < 2; ++b) {
    for (int64_t f = 0; f < 3; ++f) {
      const auto expected =
          parameters.visual_proj().mv(frames[b][f]) + parameters.temporal_emb()[f];
      CHECK(torch::allclose(tokens[b][f], expected, 1e-5, 1e-5));
    }
  }
}

TEST_CASE("rows without a frame get their temporal embedding too") {
  const Bovila model = testing::tiny_bovila();
  const auto tokens = model.video(torch::zeros({1, 3, 768}));
  CHECK(torch::equal(tokens[0], model.parameters().temporal_emb()));
}

TEST_CASE("both parameters get gradients, and frames none") {
  Bovila model = testing::tiny_bovila();
  const auto frames = torch::ones({2, 3, 768});
  model.video(frames).sum().backward();
  const auto& parameters = model.parameters();
  CHECK(torch::equal(parameters.temporal_emb().grad(), torch::full({3, 16}, 2.0)));
  CHECK(torch::equal(parameters.visual_proj().grad(), torch::full({16, 768}, 6.0)));
  CHECK_FALSE(frames.requires_grad());
}

TEST_CASE("tokens have the compute type, parameters and their gradients stay fp32") {
  Bovila model = testing::tiny_bovila(testing::tiny_params(), 3, false, torch::kBFloat16);
  const auto tokens = model.video(torch::ones({1, 3, 768}));
  CHECK((tokens.scalar_type() == torch::kBFloat16));
  tokens.sum().backward();
  CHECK((model.parameters().visual_proj().grad().scalar_type() == torch::kFloat32));
}
