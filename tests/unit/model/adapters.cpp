// The flat buffer of trained parameters: layout, start values, and what does not fit.
#include "bovila/model/adapters.h"

#include <doctest/doctest.h>

#include "bovila/core/error.h"
#include "tests/unit/model/tiny_llama.h"
#include "tests/unit/temp_folder.h"

using namespace bovila;
using testing::contains;
using testing::error_of;
using testing::tiny_model;
using testing::tiny_params;

namespace {

AdapterParameters make(uint64_t seed = 0, int64_t adapter_layers = 3, bool train_scale = false) {
  return {tiny_params(), tiny_model(adapter_layers), train_scale, seed, torch::kCPU};
}

/// A model wide enough for statistics of its start values.
AdapterParameters make_wide() {
  auto params = tiny_params();
  params.dim = 256;
  params.vocab_size = 5000;
  auto model = tiny_model();
  model.adapter_len = 40;
  model.max_feats = 50;
  return {params, model, false, 1, torch::kCPU};
}

void check_normal(const torch::Tensor& values) {
  CHECK(values.mean().item<double>() == doctest::Approx(0).epsilon(0.03));
  CHECK(values.std().item<double>() == doctest::Approx(1).epsilon(0.03));
}

void check_uniform(const torch::Tensor& values, double bound) {
  CHECK(values.abs().max().item<double>() <= bound);
  CHECK(values.abs().max().item<double>() > 0.95 * bound);
  CHECK(values.std().item<double>() == doctest::Approx(bound / std::sqrt(3.0)).epsilon(0.05));
}

}  // namespace

TEST_CASE("parameters start as SPEC 1 says") {
  const auto parameters = make_wide();
  check_normal(parameters.query());
  check_normal(parameters.temporal_emb());
  check_uniform(parameters.visual_proj(), 1 / std::sqrt(768.0));
  check_uniform(parameters.scale_weight(), 1 / std::sqrt(5000.0));
  CHECK(std::abs(parameters.scale_bias().item<double>()) <= 1 / std::sqrt(5000.0));
  for (int64_t layer = 0; layer < 3; ++layer) {
    CHECK(torch::equal(parameters.gate1(layer), torch::zeros({1, 4, 1, 1})));
    CHECK(torch::equal(parameters.gate2(layer), torch::full({1, 4, 1, 1}, -1.5)));
  }
}

TEST_CASE("the projection has the width of the features") {
  for (const int64_t width : {512, 1152}) {
    const AdapterParameters parameters(tiny_params(), tiny_model(), false, 0, torch::kCPU, width);
    CHECK(parameters.visual_proj().size(1) == width);
    check_uniform(parameters.visual_proj(), 1 / std::sqrt(static_cast<double>(width)));
  }
}

TEST_CASE("init_std scales the start values that are normal, and no others") {
  ModelConfig narrow = tiny_model();
  narrow.init_std = 0.125;
  const AdapterParameters scaled(tiny_params(), narrow, false, 1, torch::kCPU);
  const AdapterParameters published(tiny_params(), tiny_model(), false, 1, torch::kCPU);
  CHECK(torch::equal(scaled.query(), 0.125 * published.query()));
  CHECK(torch::equal(scaled.temporal_emb(), 0.125 * published.temporal_emb()));
  CHECK(torch::equal(scaled.visual_proj(), published.visual_proj()));
  CHECK(torch::equal(scaled.gates(), published.gates()));
  CHECK(torch::equal(scaled.scale_weight(), published.scale_weight()));
}

TEST_CASE("scale_proj_seed gives scale_proj the start values of that seed, and no others") {
  ModelConfig chosen = tiny_model();
  chosen.scale_proj_seed = 2;
  const AdapterParameters mixed(tiny_params(), chosen, false, 1, torch::kCPU);
  const AdapterParameters first(tiny_params(), tiny_model(), false, 1, torch::kCPU);
  const AdapterParameters second(tiny_params(), tiny_model(), false, 2, torch::kCPU);
  CHECK(torch::equal(mixed.scale_weight(), second.scale_weight()));
  CHECK(torch::equal(mixed.scale_bias(), second.scale_bias()));
  CHECK_FALSE(torch::equal(mixed.scale_weight(), first.scale_weight()));
  const auto others = [](const AdapterParameters& parameters) {
    return parameters.flat().narrow(0, 0, parameters.num_trained());
  };
  CHECK(torch::equal(others(mixed), others(first)));
}

TEST_CASE("start values follow from the seed and the parameter's name alone") {
  CHECK(torch::equal(make(1).flat(), make(1).flat()));
  CHECK_FALSE(torch::equal(make(1).query(), make(2).query()));
  CHECK(torch::equal(make(1, 3).visual_proj(), make(1, 2).visual_proj()));
  CHECK_FALSE(torch::equal(make(1).query().flatten().slice(0, 0, 48),
                           make(1).temporal_emb().flatten().slice(0, 0, 48)));
}

TEST_CASE("names and shapes are those of published checkpoints") {
  const auto parameters = make();
  std::vector<std::string> names;
  for (const NamedParameter& entry : parameters.names()) {
    names.push_back(entry.name);
    CHECK(parameters.at(entry.name).sizes() == torch::IntArrayRef(entry.shape));
  }
  CHECK(names == std::vector<std::string>{"adapter_query.weight", "visual_proj.weight",
                                          "temporal_emb.weight", "layers.0.attention.gate1",
                                          "layers.0.attention.gate2", "layers.1.attention.gate1",
                                          "layers.1.attention.gate2", "layers.2.attention.gate1",
                                          "layers.2.attention.gate2", "scale_proj.weight",
                                          "scale_proj.bias"});
  CHECK(parameters.query().sizes() == torch::IntArrayRef({12, 16}));
  CHECK(parameters.visual_proj().sizes() == torch::IntArrayRef({16, 768}));
  CHECK(parameters.temporal_emb().sizes() == torch::IntArrayRef({3, 16}));
  CHECK(parameters.scale_weight().sizes() == torch::IntArrayRef({1, 24}));
}

TEST_CASE("every parameter is a slice of one buffer, in order and without gaps") {
  const auto parameters = make();
  const float* flat = parameters.flat().data_ptr<float>();
  int64_t next = 0;
  for (const NamedParameter& entry : parameters.names()) {
    CAPTURE(entry.name);
    CHECK(entry.offset == next);
    CHECK(parameters.at(entry.name).data_ptr<float>() == flat + entry.offset);
    next += entry.numel;
  }
  CHECK(parameters.flat().numel() == next);
}

TEST_CASE("a backward pass adds every gradient into its slice of one buffer") {
  auto parameters = make();
  for (int pass = 1; pass <= 2; ++pass) {
    torch::Tensor loss = torch::zeros({});
    for (const NamedParameter& entry : parameters.names()) {
      const auto& leaf = parameters.at(entry.name);
      loss = loss + (leaf * static_cast<double>(entry.offset + 1)).sum();
    }
    loss.backward();
    for (const NamedParameter& entry : parameters.names()) {
      if (entry.offset >= parameters.num_trained()) continue;
      CAPTURE(entry.name);
      const auto slice = parameters.gradient().narrow(0, entry.offset, entry.numel);
      CHECK(parameters.at(entry.name).grad().data_ptr() == slice.data_ptr());
      CHECK(torch::equal(slice, torch::full({entry.numel}, pass * (entry.offset + 1.0))));
    }
  }
}

TEST_CASE("scale_proj is frozen by default and trained, its bias without decay, when asked for") {
  const auto frozen = make();
  CHECK_FALSE(frozen.scale_weight().requires_grad());
  CHECK_FALSE(frozen.scale_bias().requires_grad());
  CHECK(frozen.num_trained() == frozen.flat().numel() - 25);
  CHECK(frozen.num_decayed() == frozen.num_trained());
  CHECK(frozen.gradient().numel() == frozen.num_trained());

  const auto trained = make(0, 3, /*train_scale=*/true);
  CHECK(trained.scale_weight().requires_grad());
  CHECK(trained.num_trained() == trained.flat().numel());
  CHECK(trained.num_decayed() == trained.num_trained() - 1);
  CHECK(torch::equal(trained.flat(), frozen.flat()));
}

TEST_CASE("with fewer adapter layers than layers the last ones are adapted") {
  const auto parameters = make(0, 2);
  CHECK(parameters.first_adapted_layer() == 1);
  CHECK(parameters.query().size(0) == 8);
  CHECK(parameters.names()[3].name == "layers.1.attention.gate1");
  CHECK(parameters.gate2(2).data_ptr() == parameters.at("layers.2.attention.gate2").data_ptr());
}

TEST_CASE("all gates are one view of the buffer, by layer, gate and head") {
  for (const int64_t adapted : {2, 3}) {
    const auto parameters = make(0, adapted);
    const auto gates = parameters.gates();
    REQUIRE(gates.size(0) == adapted);
    CHECK_FALSE(gates.requires_grad());
    for (int64_t i = 0; i < adapted; ++i) {
      const int64_t layer = parameters.first_adapted_layer() + i;
      CHECK(gates[i][0].data_ptr() == parameters.gate1(layer).data_ptr());
      CHECK(gates[i][1].data_ptr() == parameters.gate2(layer).data_ptr());
      CHECK(gates[i][1].numel() == parameters.gate2(layer).numel());
    }
  }
}

TEST_CASE("assigned values stand in the buffer") {
  auto parameters = make();
  const auto values = torch::rand({3, 16});
  parameters.assign("temporal_emb.weight", values);
  CHECK(torch::equal(parameters.temporal_emb(), values));
  const auto& entry = parameters.names()[2];
  CHECK(torch::equal(parameters.flat().narrow(0, entry.offset, entry.numel), values.flatten()));
  CHECK(parameters.temporal_emb().requires_grad());
}

TEST_CASE("values of another name or shape are refused with both") {
  auto parameters = make();
  CHECK(error_of([&] { parameters.assign("layers.9.attention.gate1", torch::zeros({1})); }) ==
        "the parameter 'layers.9.attention.gate1' is not one of this model's");
  CHECK(error_of([&] {
          parameters.assign("temporal_emb.weight", torch::zeros({2, 16}));
        }) == "the parameter 'temporal_emb.weight' has shape [2, 16], this model's has [3, 16]");
  CHECK_THROWS_AS(parameters.at("nothing"), ProgramError);
}

TEST_CASE("more adapter layers than the LLaMA has are refused with both numbers") {
  CHECK(contains(error_of([] { make(0, 4); }),
                 "model.adapter_layers is 4, but the LLaMA has 3 layers; set it to 3 or less"));
}
