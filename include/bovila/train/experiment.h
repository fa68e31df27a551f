// Everything a run is made of, opened and checked: tokenizer, features, splits, weights, adapters.
// Fed by the deck; feeds train/trainer.h, evaluation/evaluator.h and `--check`.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bovila/checkpoint/train_state.h"
#include "bovila/config/config.h"
#include "bovila/data/dataset.h"
#include "bovila/dist/communicator.h"
#include "bovila/dist/preemption.h"
#include "bovila/features/feature_store.h"
#include "bovila/model/bovila.h"
#include "bovila/text/tokenizer.h"

namespace bovila {

/// The tokenizer's file: model.tokenizer, or tokenizer.model or tokenizer.json in the folder
/// model.llama or beside it. @throws UserError naming both places when there is none.
std::string find_tokenizer(const ModelConfig& config);

/// The LLaMA's sizes, which fit the tokenizer and model.max_seq_len. @throws UserError.
LlamaParams read_model_params(const ModelConfig& config, const Tokenizer& tokenizer);

torch::ScalarType scalar_type(Precision precision);

/// The inputs of a run without the weights. Members point into each other: not movable.
class Inputs {
 public:
  /// Opens everything that the deck names. Not collective. `with_train`: false leaves the training
  /// split out. @throws UserError, StopRequested.
  Inputs(const Config& config, bool with_train, const Preemption& preemption);
  Inputs(const Inputs&) = delete;
  Inputs& operator=(const Inputs&) = delete;

  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<FeatureStore> features;
  std::optional<Dataset> train;  ///< only for training
  std::optional<Dataset> val;
  LlamaParams llama;
};

/// Collective: the model with its start values on `device`. The frozen weights are read from disk
/// once a node; on the CPU they stand in its memory once, and each GPU has its copy.
/// @throws AgreedError on all ranks, also for a stop.
Bovila make_model(const Config& config, const LlamaParams& llama, bool for_training,
                  torch::Device device, Communicator& ranks, Communicator& node,
                  const Preemption& preemption);

/// Collective: the rows of a split that can be trained on. Prompts are measured by all ranks, each
/// its share. @throws AgreedError when one is over-long and the deck says so (SPEC D6), or when the
/// split hides its answers; also for a stop.
std::vector<int64_t> trainable_rows(const Dataset& data, OverLong over_long, Communicator& ranks,
                                    const Preemption& preemption);

/// Warns about what the splits' questions lack (data/coverage.h).
/// @throws UserError when more than data.max_missing of a split's videos have no features.
void report_coverage(const Config& config, const Inputs& inputs);

/// The trained parameters into and out of a checkpoint's arrays. @throws UserError for a name or
/// shape that is not the model's, or one that is missing.
std::vector<NamedArray> to_arrays(const AdapterParameters& parameters);
void from_arrays(const TrainState& state, AdapterParameters& parameters);

}  // namespace bovila
