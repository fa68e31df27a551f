// Samples, frames and prompts put together.
#include "bovila/data/dataset.h"

#include <algorithm>

#include "bovila/data/annotations.h"
#include "bovila/data/option_order.h"

namespace bovila {
namespace {

std::vector<float> frames_of(const ShownFrames& shown, const FeatureStore& features,
                             const Config& config) {
  std::vector<float> out(static_cast<size_t>(config.model.max_feats * features.dim()));
  read_frames(features, shown.clip, shown.frames, out);
  if (config.data.normalize_frames) normalize(out, features.dim());
  return out;
}

void add_prompts(const Sample& sample, const PromptBuilder& prompts, OptionExample& out) {
  for (size_t k = 0; k < sample.options.size(); ++k) {
    out.options.push_back(prompts.vqa(sample, static_cast<int>(k)));
  }
}

}  // namespace

OptionExample make_options(const Sample& sample, const FeatureStore& features,
                           const PromptBuilder& prompts, const Config& config) {
  const ShownFrames shown{sample.clip,
                          choose_frames(features, sample.clip, config.model.max_feats)};
  OptionExample out{sample.row, frames_of(shown, features, config), {}};
  add_prompts(sample, prompts, out);
  return out;
}

Dataset::Dataset(const Config& config, const std::string& split, const FeatureStore& features,
                 const Tokenizer& tokenizer)
    : split_(split),
      types_(find_annotation_reader(config.data.dataset).form->types),
      samples_(read_annotations(config.data, split)),
      features_(features),
      prompts_(tokenizer, config),
      config_(config) {
  name_as_stored(features, samples_);
  if (config.data.shuffle_options) {
    shuffle_options(samples_, static_cast<uint64_t>(config.train.seed));
  }
}

ShownFrames Dataset::shown(int64_t row) const {
  return shown_frames(features_, samples_, row, config_);
}

Example Dataset::example(int64_t row) const {
  const Sample& question = sample(row);
  return {row, frames_of(shown(row), features_, config_),
          prompts_.vqa(question, question.answer.value()), prompts_.vaq(question),
          prompts_.with_qav() ? prompts_.qav(question) : Prompt()};
}

OptionExample Dataset::options(int64_t row) const {
  const Sample& question = sample(row);
  OptionExample out{row, frames_of(shown(row), features_, config_), {}};
  if (config_.eval.options == OptionTurns::kRotations) {
    out.turns = std::max<int64_t>(1, std::ssize(question.options));
  }
  for (int turn = 0; turn < out.turns; ++turn) add_prompts(turned(question, turn), prompts_, out);
  return out;
}

std::vector<OverLongPrompt> Dataset::find_over_long(int64_t first, int64_t stride,
                                                    const std::function<void()>& interrupt) const {
  std::vector<OverLongPrompt> found;
  for (int64_t row = first; row < size(); row += stride) {
    interrupt();
    const int64_t length = prompts_.measure(sample(row)).tokens;
    if (length > config_.model.max_seq_len) found.push_back({row, length});
  }
  return found;
}

}  // namespace bovila
