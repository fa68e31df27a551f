// Samples, frames and prompts put together.
#include "bovila/data/dataset.h"

#include <algorithm>

#include "bovila/data/annotations.h"
#include "bovila/data/clip.h"
#include "bovila/data/option_order.h"

namespace bovila {
namespace {

std::vector<float> read_frames(const Sample& sample, const FeatureStore& features,
                               int64_t max_feats) {
  std::vector<float> out(static_cast<size_t>(max_feats * kFeatureDim));
  read_clip(features, sample.clip, max_feats, out);
  return out;
}

}  // namespace

OptionExample make_options(const Sample& sample, const FeatureStore& features,
                           const PromptBuilder& prompts, int64_t max_feats) {
  OptionExample out{sample.row, read_frames(sample, features, max_feats), {}};
  for (size_t k = 0; k < sample.options.size(); ++k) {
    out.options.push_back(prompts.vqa(sample, static_cast<int>(k)));
  }
  return out;
}

Dataset::Dataset(const Config& config, const std::string& split, const FeatureStore& features,
                 const Tokenizer& tokenizer)
    : split_(split),
      samples_(
          read_annotations(config.data.dataset, config.data.folder, split, config.data.subtitles)),
      features_(features),
      prompts_(tokenizer, config.model.max_feats, config.model.max_seq_len),
      max_feats_(config.model.max_feats),
      max_seq_len_(config.model.max_seq_len) {
  if (config.data.shuffle_options) {
    shuffle_options(samples_, static_cast<uint64_t>(config.train.seed));
  }
}

Example Dataset::example(int64_t row) const {
  const Sample& question = sample(row);
  return {row, read_frames(question, features_, max_feats_),
          prompts_.vqa(question, question.answer.value()), prompts_.vaq(question)};
}

OptionExample Dataset::options(int64_t row) const {
  return make_options(sample(row), features_, prompts_, max_feats_);
}

std::vector<OverLongPrompt> Dataset::find_over_long(int64_t first, int64_t stride,
                                                    const std::function<void()>& interrupt) const {
  std::vector<OverLongPrompt> found;
  for (int64_t row = first; row < size(); row += stride) {
    interrupt();
    const Sample& question = sample(row);
    const int64_t length = std::max(prompts_.vqa(question, question.answer.value_or(0)).size(),
                                    question.answer ? prompts_.vaq(question).size() : 0);
    if (length > max_seq_len_) found.push_back({row, length});
  }
  return found;
}

}  // namespace bovila
