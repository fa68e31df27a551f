// One split of a data set: questions that can be turned into examples, one at a time.
// Fed by data/annotations.h, features/feature_store.h and text/tokenizer.h; feeds
// data/batch_loader.h and evaluation/evaluator.h, which call it from a background thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bovila/config/config.h"
#include "bovila/data/annotations.h"
#include "bovila/data/example.h"
#include "bovila/data/probes.h"
#include "bovila/data/prompt.h"
#include "bovila/data/sample.h"
#include "bovila/features/feature_store.h"

namespace bovila {

/// A question whose prompt is longer than model.max_seq_len though its dialogue was cut (SPEC D6).
struct OverLongPrompt {
  int64_t row = 0;
  int64_t length = 0;
};

/// Frames and the prompts of all options of a question, whatever it is from.
/// @throws UserError when its features cannot be read.
OptionExample make_options(const Sample& sample, const FeatureStore& features,
                           const PromptBuilder& prompts, const Config& config);

/// Thread-safe: examples are made from read-only parts. `features` and `tokenizer` must outlive it.
class Dataset {
 public:
  /// Reads the split's annotations. @throws UserError listing what is wrong with them.
  Dataset(const Config& config, const std::string& split, const FeatureStore& features,
          const Tokenizer& tokenizer);

  const std::string& split() const { return split_; }
  int64_t size() const { return static_cast<int64_t>(samples_.size()); }
  const Sample& sample(int64_t row) const { return samples_[static_cast<size_t>(row)]; }
  const std::vector<Sample>& samples() const { return samples_; }
  const PromptBuilder& prompts() const { return prompts_; }
  const QuestionTypes& types() const { return types_; }
  int64_t max_seq_len() const { return config_.model.max_seq_len; }

  /// The training example of a question. @throws UserError when its features cannot be read.
  Example example(int64_t row) const;
  /// The prompts of all its options, in each order that eval.options asks for.
  OptionExample options(int64_t row) const;
  /// The frames that both of them show, as eval.video has it. @throws UserError when it cannot.
  ShownFrames shown(int64_t row) const;

  /// Over-long training prompts among rows first, first + stride, ... Tokenises them all.
  /// `interrupt` is called before each; what it throws ends the search.
  std::vector<OverLongPrompt> find_over_long(
      int64_t first, int64_t stride, const std::function<void()>& interrupt = [] {}) const;

 private:
  std::string split_;
  const QuestionTypes& types_;
  std::vector<Sample> samples_;
  const FeatureStore& features_;
  PromptBuilder prompts_;
  Config config_;
};

}  // namespace bovila
