// Samples, frames and prompts put together.
#include "bovila/data/dataset.h"

#include <algorithm>

#include "bovila/data/annotations.h"
#include "bovila/data/clip.h"
#include "bovila/data/option_order.h"

namespace bovila {
namespace {

std::vector<float> read_frames(const Sample& sample, const FeatureStore& features,
                               const Config& config) {
  const int64_t max_feats = config.model.max_feats;
  std::vector<float> out(static_cast<size_t>(max_feats * features.dim()));
  read_clip(features, sample.clip, max_feats, out);
  if (config.data.normalize_frames) normalize(out, features.dim());
  return out;
}

}  // namespace

OptionExample make_options(const Sample& sample, const FeatureStore& features,
                           const PromptBuilder& prompts, const Config& config) {
  OptionExample out{sample.row, read_frames(sample, features, config), {}};
  for (size_t k = 0; k < sample.options.size(); ++k) {
    out.options.push_back(prompts.vqa(sample, static_cast<int>(k)));
  }
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

Example Dataset::example(int64_t row) const {
  const Sample& question = sample(row);
  return {row, read_frames(question, features_, config_),
          prompts_.vqa(question, question.answer.value()), prompts_.vaq(question),
          prompts_.with_qav() ? prompts_.qav(question) : Prompt()};
}

OptionExample Dataset::options(int64_t row) const {
  return make_options(sample(row), features_, prompts_, config_);
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
