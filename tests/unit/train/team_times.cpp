// The peak of tokens, worked out by hand. All ranks' times: tests/mpi/team_times.cpp.
#include "bovila/train/team_times.h"

#include <doctest/doctest.h>

using namespace bovila;

TEST_CASE("a token is four operations for each number of the layers' matrices") {
  LlamaParams llama;
  llama.dim = 8;
  llama.n_layers = 3;
  llama.n_heads = 4;
  llama.n_kv_heads = 2;
  llama.given_hidden_dim = 10;
  llama.vocab_size = 1000;
  constexpr double kNumbers = 3 * (2 * 8 * 8 + 2 * 8 * 4 + 3 * 8 * 10);
  CHECK(peak_tokens_per_s(llama, 2, 0.5) == doctest::Approx(2 * 0.5e12 / (4 * kNumbers)));
  CHECK(peak_tokens_per_s(llama, 2, 0) == 0);
}
