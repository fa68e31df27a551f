// The golden runs' questions with stored matrices: losses are those of the naive form, which
// computes with the same matrices' numbers.
#include <doctest/doctest.h>

#include "bovila/objective/objective.h"
#include "tests/golden/golden.h"
#include "tests/golden/group.h"
#include "tests/naive/naive_bovila.h"
#include "tests/unit/model/tiny_llama.h"

using namespace bovila;

namespace {

void check_against_naive(const golden::Run& run, WeightForm form) {
  CAPTURE(run.name());
  CAPTURE(int(form));
  const auto parts = golden::make_parts(run);
  const WeightTypes types(torch::kFloat32, form);
  Bovila model = golden::make_model(run, *parts.tokenizer, types, torch::kCPU, golden::group());
  Bovila whole = golden::make_model(run, *parts.tokenizer, types);
  std::vector<Example> batch;
  for (const int64_t row : run.rows(0)) batch.push_back(parts.train->example(row));
  const auto& config = run.config();
  const auto noise = named_noise(1, 0, parts.tokenizer->vocab_size());
  const auto expected =
      testing::NaiveBovila(whole, config.model.max_seq_len).losses(batch, config.loss, noise);
  const auto got = add_gradients(model, batch, config.loss, noise, {1, 200});
  const auto error = (got.values() - expected.values()).abs();
  CHECK((error <= 1e-5 * expected.values().abs() + 1e-9).all().item<bool>());
}

}  // namespace

TEST_CASE("golden runs with stored matrices have the losses of the naive form with their numbers") {
  for (const char* dataset : {"star", "vlep"}) {
    const golden::Run run(golden::runs_of(dataset).front());
    for (const WeightForm form : testing::kSmallForms) {
      const bool is_nf4 = form == WeightForm::kNf4 || form == WeightForm::kNf4Dq;
      // A part of this LLaMA's rows is no whole block: tests/unit/weights/llama_part.cpp has
      // others.
      if (!is_nf4 || golden::group() == nullptr) check_against_naive(run, form);
    }
  }
}
