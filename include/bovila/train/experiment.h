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
#include "bovila/dist/rank_grid.h"
#include "bovila/features/feature_store.h"
#include "bovila/model/bovila.h"
#include "bovila/text/tokenizer.h"

namespace bovila {

/// The tokenizer's file: model.tokenizer, or tokenizer.model or tokenizer.json in the folder
/// model.llama or beside it. @throws UserError naming both places when there is none.
std::string find_tokenizer(const ModelConfig& config);

/// The LLaMA's sizes, which fit the tokenizer and model.max_seq_len. @throws UserError.
LlamaParams read_model_params(const ModelConfig& config, const Tokenizer& tokenizer);

/// @throws UserError when the LLaMA cannot be shared out as run.tensor_parallel says; all that is
/// read for it are the tokenizer and the LLaMA's sizes.
void check_parts(const Config& config);

torch::ScalarType scalar_type(Precision precision);
/// model.precision, which must be settled, and model.weights.
WeightTypes weight_types(const ModelConfig& config);

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

/// Collective: the model for features of this width with its start values on `device`. The frozen
/// weights are read from disk once a node; on the CPU they stand in its memory once, and each GPU
/// has its copy. Where ranks hold the model together each has its part: `sharers` are the ranks of
/// this node that have the same part, all of the node where they hold it alone.
/// @throws AgreedError on all ranks, also for a stop.
Bovila make_model(const Config& config, const LlamaParams& llama, int64_t feature_dim,
                  bool for_training, torch::Device device, const RankGrid& ranks,
                  Communicator& sharers, const Preemption& preemption);

/// Collective: the rows of a split that can be trained on. Prompts are measured by all ranks, each
/// its share. @throws AgreedError when one is over-long and the deck says so (SPEC D6), or when the
/// split hides its answers; also for a stop.
std::vector<int64_t> trainable_rows(const Dataset& data, OverLong over_long, Communicator& ranks,
                                    const Preemption& preemption);

/// That the published learning rate is for the first LLaMA: LLaMA-2 and LLaMA-3, told by their
/// sizes, diverge at it (SPEC 11); "" where all is well, and where train.lr is set.
std::string rate_concern(const TrainConfig& train, const LlamaParams& llama);

/// Warns about what the splits' questions lack (data/coverage.h).
/// @throws UserError when more than data.max_missing of a split's videos have no features.
void report_coverage(const Config& config, const Inputs& inputs);

/// The trained parameters into and out of a checkpoint's arrays. @throws UserError for a name or
/// shape that is not the model's, or one that is missing.
std::vector<NamedArray> to_arrays(const AdapterParameters& parameters);
void from_arrays(const TrainState& state, AdapterParameters& parameters);

}  // namespace bovila
