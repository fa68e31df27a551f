// Gumbel-softmax: the choice, its gradient, and the noise's keys.
#include "bovila/model/gumbel.h"

#include <doctest/doctest.h>

using namespace bovila;

TEST_CASE("the forward value is the chosen row, the gradient that of the soft choice") {
  torch::manual_seed(1);
  const auto logits = torch::randn({3, 5}).requires_grad_(true);
  const auto noise = torch::randn({3, 5});
  const auto table = torch::randn({5, 4});
  const auto weights = torch::randn({3, 4});

  const auto chosen = gumbel_choose(logits, noise, table);
  CHECK(torch::equal(chosen, table.index_select(0, (logits + noise).argmax(-1))));
  (chosen * weights).sum().backward();
  const auto ours = logits.grad().clone();
  logits.mutable_grad() = torch::Tensor();
  (torch::softmax(logits + noise, -1).matmul(table) * weights).sum().backward();
  CHECK(torch::allclose(ours, logits.grad(), 1e-4, 1e-6));
}

TEST_CASE("noise depends on its key alone and is standard Gumbel") {
  const auto a = gumbel_noise(200, 100, 7);
  CHECK(torch::equal(a, gumbel_noise(200, 100, 7)));
  CHECK_FALSE(torch::equal(a, gumbel_noise(200, 100, 8)));
  CHECK(a.isfinite().all().item<bool>());
  CHECK(a.mean().item<double>() == doctest::Approx(0.5772).epsilon(0.05));
  CHECK(a.var().item<double>() == doctest::Approx(1.6449).epsilon(0.05));
}
