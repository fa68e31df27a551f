// One flat vector stepped as PyTorch's AdamW steps two groups.
#include "bovila/train/adamw.h"

#include <doctest/doctest.h>
#include <torch/nn/utils/clip_grad.h>
#include <torch/optim/adamw.h>

using namespace bovila;

TEST_CASE("steps equal torch::optim::AdamW with and without decay") {
  torch::manual_seed(5);
  const auto start = torch::randn({10});
  auto ours = start.clone();
  auto decayed = start.slice(0, 0, 6).clone().requires_grad_(true);
  auto plain = start.slice(0, 6).clone().requires_grad_(true);
  const auto options = [](double decay) {
    auto made = std::make_unique<torch::optim::AdamWOptions>(1e-2);
    made->betas({0.9, 0.95}).eps(1e-8).weight_decay(decay);
    return made;
  };
  std::vector<torch::optim::OptimizerParamGroup> groups;
  groups.emplace_back(std::vector<torch::Tensor>{decayed}, options(0.14));
  groups.emplace_back(std::vector<torch::Tensor>{plain}, options(0));
  torch::optim::AdamW theirs(groups);
  AdamW optimizer(10, 6, 0.14, torch::kCPU);
  for (int step = 0; step < 5; ++step) {
    const auto gradient = torch::randn({10});
    decayed.mutable_grad() = gradient.slice(0, 0, 6).clone();
    plain.mutable_grad() = gradient.slice(0, 6).clone();
    theirs.step();
    optimizer.step(ours, gradient, 1e-2);
    CHECK(torch::allclose(ours, torch::cat({decayed, plain}).detach(), 1e-6, 1e-7));
  }
  CHECK(optimizer.steps == 5);
}

TEST_CASE("a scaled rate steps as a vector of its own does with that rate, and 0 as none") {
  torch::manual_seed(6);
  const auto start = torch::randn({10});
  auto values = start.clone();
  AdamW optimizer(10, 8, 0.14, torch::kCPU);
  optimizer.scaled_rate = {2, 5, 0.25};
  auto inside = start.slice(0, 2, 5).clone();
  AdamW inner(3, 3, 0.14, torch::kCPU);
  auto plain = start.clone();
  AdamW everywhere(10, 8, 0.14, torch::kCPU);
  auto partly = start.clone();
  AdamW frozen(10, 8, 0.14, torch::kCPU);
  frozen.scaled_rate = {2, 5, 0};
  for (int step = 0; step < 5; ++step) {
    const auto gradient = torch::randn({10});
    optimizer.step(values, gradient, 1e-2);
    inner.step(inside, gradient.slice(0, 2, 5), 0.25e-2);
    everywhere.step(plain, gradient, 1e-2);
    frozen.step(partly, gradient, 1e-2);
  }
  CHECK(torch::allclose(values.slice(0, 2, 5), inside, 1e-6, 1e-7));
  CHECK(torch::allclose(values.slice(0, 0, 2), plain.slice(0, 0, 2), 1e-6, 1e-7));
  CHECK(torch::allclose(values.slice(0, 5), plain.slice(0, 5), 1e-6, 1e-7));
  CHECK(torch::equal(partly.slice(0, 2, 5), start.slice(0, 2, 5)));
}

TEST_CASE("a long gradient is clipped as by torch.nn.utils.clip_grad_norm_, a short one is not") {
  AdamW optimizer(3, 3, 0, torch::kCPU);
  auto parameter = torch::zeros({3}).requires_grad_(true);
  const auto gradient = torch::tensor({3.0F, 4.0F, 12.0F});  // of norm 13
  CHECK(optimizer.clip_factor(13) == 1);
  for (const double limit : {1.0, 12.9, 20.0}) {
    parameter.mutable_grad() = gradient.clone();
    CHECK(torch::nn::utils::clip_grad_norm_(parameter, limit) == doctest::Approx(13));
    optimizer.clip_norm = limit;
    CHECK(torch::allclose(gradient * optimizer.clip_factor(13), parameter.grad(), 1e-6));
  }
}
