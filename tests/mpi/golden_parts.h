// What the tests of training and evaluation on several ranks share: the golden STAR run's parts.
// Fed by tests/golden/mini through tests/golden/golden.h.
#pragma once

#include <optional>

#include "bovila/dist/agreement.h"
#include "bovila/train/train_step.h"
#include "tests/golden/golden.h"
#include "tests/mpi/session.h"

struct StarParts {
  StarParts() : run("star"), parts(golden::make_parts(run)), config(run.config()) {
    // Long rows of one rank must not be shared out to threads in another way on another rank.
    torch::set_num_threads(1);
  }

  bovila::Bovila model() const { return golden::make_model(run, *parts.tokenizer); }

  bovila::NoiseSource noise() const {
    return bovila::named_noise(7, 0, parts.tokenizer->vocab_size());
  }

  std::vector<bovila::Example> examples(const std::vector<int64_t>& rows) const {
    std::vector<bovila::Example> batch;
    for (const int64_t row : rows) batch.push_back(parts.train->example(row));
    return batch;
  }

  /// Gives the plan's micro-batches in order.
  bovila::NextBatch source(const bovila::StepPlan& plan) const {
    std::vector<std::vector<int64_t>> wanted;
    for (const auto& rows : plan.micro_batches) {
      if (!rows.empty()) wanted.push_back(rows);
    }
    return [this, wanted, next = size_t{0}]() mutable { return examples(wanted.at(next++)); };
  }

  golden::Run run;
  golden::Parts parts;
  bovila::Config config;
  bovila::Preemption preemption;
};

/// The first `count` questions, in an order of their own.
inline std::vector<int64_t> order_of(int64_t count) {
  return bovila::epoch_order(count, /*seed=*/3, /*epoch=*/0);
}

inline bovila::AdamW make_optimizer(const bovila::AdapterParameters& parameters) {
  return {parameters.num_trained(), parameters.num_decayed(), /*weight_decay=*/0.1, torch::kCPU};
}

/// What this rank threw when the ranks agreed on an error.
template <typename Call>
std::optional<bovila::AgreedError> agreed_error_of(const Call& call) {
  try {
    call();
  } catch (const bovila::AgreedError& error) {
    return error;
  }
  return std::nullopt;
}
