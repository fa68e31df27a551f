// Checkpoints of the published code (BoViLA's, Flipped-VQA's): .pth files of torch.save with the
// trained parameters, under the names of SPEC 1, in the dict "model".
// Fed by --resume FILE.pth --eval and train.start; feeds the model's parameters. And back:
// tools/ckpt2pth.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bovila/checkpoint/train_state.h"
#include "bovila/config/config.h"
#include "bovila/model/adapters.h"

namespace bovila {

/// What was found beside the parameters that were taken.
struct PublishedContents {
  std::string settings;              ///< of its "args", for messages: "max_feats 10, bias 3.5"
  std::vector<std::string> missing;  ///< of scale_proj, which the published code does not save
  std::vector<std::string> foreign;  ///< names that are not this model's
};

/// Puts the file's parameters, of any floating point type, into `parameters`. A scale_proj that
/// the file lacks keeps its values. Objects of other classes (argparse.Namespace, paths, the
/// optimizer) are not needed, and no code of the file runs.
/// @throws UserError naming the file, and the tensor with both shapes where one does not fit.
PublishedContents load_published(const std::string& path, AdapterParameters& parameters);

/// Says in the log what was found, after what is done with it ("scoring"). For one rank.
void report_published(std::string_view doing, const std::string& path,
                      const PublishedContents& contents);

/// What a file of to_published() tells of its run: step, deck and identity, set in `state`.
/// @return whether it is such a file; others have none of these. @throws UserError.
bool read_origin(const std::string& path, TrainState& state);

/// What the "args" of a file of the published code say that changes its answers under this deck, a
/// sentence each: data set, subtitles, longest prompt, LLaMA. @throws UserError.
std::vector<std::string> compare_published_args(const std::string& path, const Config& config);

/// A checkpoint's parameters as the bytes of such a file, fp32, with the resolved deck beside them
/// and what was in the files that it was trained with: {"model": {name: tensor}, "step": int,
/// "deck": str, "identity": {key: str}}. torch.load(weights_only=True) reads it.
std::string to_published(const TrainState& state);

}  // namespace bovila
