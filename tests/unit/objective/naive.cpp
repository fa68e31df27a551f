// Every economy of the passes against the naive forms, on batches of random lengths: losses,
// gradients, option scores.
#include <doctest/doctest.h>

#include <random>

#include "bovila/evaluation/evaluator.h"
#include "tests/naive/naive_bovila.h"
#include "tests/unit/model/tiny_llama.h"
#include "tests/unit/objective/tiny_task.h"

using namespace bovila;
using testing::Ids;
using testing::NaiveBovila;
using testing::tiny_bovila;
using testing::tiny_params;

namespace {

constexpr int64_t kMaxSeqLen = 48;

Ids random_ids(std::mt19937& random, int64_t count) {
  Ids ids(static_cast<size_t>(count));
  for (int32_t& id : ids) id = std::uniform_int_distribution<int32_t>(8, 23)(random);
  return ids;
}

int64_t random_size(std::mt19937& random, int64_t first, int64_t last) {
  return std::uniform_int_distribution(first, last)(random);
}

std::vector<Example> random_examples(std::mt19937& random) {
  std::vector<Example> batch;
  const int64_t count = random_size(random, 1, 6);
  for (int64_t i = 0; i < count; ++i) {
    batch.push_back(testing::make_example(i, random_ids(random, random_size(random, 1, 14)),
                                          random_ids(random, random_size(random, 1, 4))));
  }
  return batch;
}

std::vector<OptionExample> random_options(std::mt19937& random) {
  std::vector<OptionExample> batch;
  const int64_t count = random_size(random, 1, 5), options = random_size(random, 2, 5);
  for (int64_t i = 0; i < count; ++i) {
    std::vector<Ids> labels;
    for (int64_t k = 0; k < options; ++k) {
      labels.push_back(random_ids(random, random_size(random, 1, 4)));
    }
    batch.push_back(
        testing::make_options(i, random_ids(random, random_size(random, 1, 14)), labels));
  }
  return batch;
}

/// Weights at which every term is seen in the total.
LossConfig random_config(std::mt19937& random) {
  LossConfig config;
  config.edl_reg = 1e-2;
  config.aqa_gate = random() % 2 == 0;
  config.aqa_align = random() % 2 == 0;
  config.train_scale_proj = random() % 2 == 0;
  if (random() % 5 == 0) config.edl_mse = 0;
  if (config.edl_mse > 0 && random() % 3 == 0) config.edl_ce = 0.5;
  if (!config.train_scale_proj && random() % 2 == 0) {
    config.uncertainty = UncertaintySource::kSoftmax;
  }
  config.gate_gradient = random() % 2 == 0;
  if (random() % 2 == 0) config.aqa_gradient = AqaGradient::kAnswering;
  if (random() % 5 == 0) config.aqa = 0;
  if (random() % 2 == 0) config.qav = 0.5;
  config.qav_tau = 2;  // differences of frames are seen
  return config;
}

/// All heads, grouped heads, one head for all; all layers adapted or the last.
Bovila random_model(std::mt19937& random, const LossConfig& config,
                    WeightForm form = WeightForm::kComputed) {
  const int64_t kv_heads = int64_t{1} << random_size(random, 0, 2);
  const auto params =
      form == WeightForm::kComputed ? tiny_params(kv_heads) : testing::block_params(kv_heads);
  return tiny_bovila(params, random_size(random, 1, 3), config.train_scale_proj,
                     {torch::kFloat32, form});
}

void check_losses(uint32_t seed, WeightForm form) {
  CAPTURE(seed);
  CAPTURE(int(form));
  std::mt19937 random(seed);
  const LossConfig config = random_config(random);
  Bovila model = random_model(random, config, form);
  const auto batch = random_examples(random);
  const auto noise = named_noise(seed, 0, tiny_params().vocab_size);
  auto gradient = model.parameters().gradient();

  const auto expected = NaiveBovila(model, kMaxSeqLen).losses(batch, config, noise);
  gradient.zero_();
  expected.total.backward();
  const auto expected_gradient = gradient.clone();
  gradient.zero_();
  const auto got = add_gradients(model, batch, config, noise,
                                 {1, random_size(random, 0, 1) * random_size(random, 1, 200)});

  const auto error = (got.values() - expected.values()).abs();
  CHECK((error <= 1e-5 * expected.values().abs() + 1e-7).all().item<bool>());
  CHECK(((gradient - expected_gradient).norm() / expected_gradient.norm()).item<double>() < 1e-5);
}

}  // namespace

TEST_CASE("losses and gradients are the naive ones on random batches") {
  for (uint32_t seed = 0; seed < 25; ++seed) check_losses(seed, WeightForm::kComputed);
}

TEST_CASE("losses and gradients of stored matrices are the naive ones of their numbers") {
  for (const WeightForm form : testing::kSmallForms) {
    for (uint32_t seed = 0; seed < 3; ++seed) check_losses(seed, form);
  }
}

TEST_CASE("option scores are the naive ones on random batches") {
  for (uint32_t seed = 0; seed < 25; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const LossConfig config = random_config(random);
    const Bovila model = random_model(random, config);
    const auto batch = random_options(random);
    const auto expected = NaiveBovila(model, kMaxSeqLen).scores(batch, config);
    const auto got = score_options(model, batch, config);
    REQUIRE(got.size() == expected.size());
    for (size_t i = 0; i < got.size(); ++i) {
      CHECK(got[i].prediction() == expected[i].prediction());
      for (size_t k = 0; k < got[i].loss.size(); ++k) {
        CHECK(got[i].loss[k] == doctest::Approx(expected[i].loss[k]).epsilon(1e-5));
        CHECK(got[i].uncertainty[k] == doctest::Approx(expected[i].uncertainty[k]).epsilon(1e-5));
      }
    }
  }
}
