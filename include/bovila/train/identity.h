// What is in the files that a run reads, in a few words for each: a run goes on only with the same.
// Fed by the opened inputs; kept in TrainState::identity and compared by
// checkpoint/checkpoint_fit.h.
#pragma once

#include <map>
#include <span>
#include <string>

#include "bovila/config/config.h"
#include "bovila/data/sample.h"
#include "bovila/train/experiment.h"

namespace bovila {

/// Size and SHA-256 of what the questions say, not of the files that they came from: blanks in a
/// JSON file do not make another run, a changed subtitle does.
std::string samples_identity(std::span<const Sample> samples);

/// The part that is of a model: model.llama and model.tokenizer. As make_identity.
std::map<std::string, std::string> model_identity(
    const Config& config, const Interrupt& interrupt = [] {});

/// Of data.features.
std::string features_identity(const FeatureStore& features);

/// Of a file: its size and SHA-256.
std::string file_identity(const std::string& path);

/// By the deck's key: model.llama, model.tokenizer, data.features, data.train_split,
/// data.val_split, and train.start where there is one. Not collective. `interrupt`: see
/// load_llama_weights. @throws UserError when a file cannot be read.
std::map<std::string, std::string> make_identity(
    const Config& config, const Inputs& inputs, const Interrupt& interrupt = [] {});

}  // namespace bovila
