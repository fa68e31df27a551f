// BoViLA without any economy: every row padded to max_seq_len, vocabulary logits at every position,
// one pass for each of VQA, VAQ, AQA and QAV, in evaluation one for each option, and LibTorch's
// automatic differentiation alone. The oracle that fast paths are compared with, and what
// benchmarks divide by. Fed by the same model and examples as objective/objective.h and
// evaluation/evaluator.h. SPEC 2, 5, 7.
//
// Legend: B rows, S = max_seq_len, D model width, H heads, d head width, V vocabulary.
#pragma once

#include <span>
#include <vector>

#include "bovila/dist/libtorch.h"
#include "bovila/evaluation/option_scores.h"
#include "bovila/model/bovila.h"
#include "bovila/objective/objective.h"

namespace bovila::testing {

class NaiveBovila {
 public:
  /// `model` must outlive it and be on the CPU.
  NaiveBovila(const Bovila& model, int64_t max_seq_len) : model_(model), length_(max_seq_len) {}

  /// As add_gradients, with graphs: the caller differentiates `total`.
  Losses losses(std::span<const Example> batch, const LossConfig& config,
                const NoiseSource& noise) const;
  /// As score_options; all questions must have the same number of options.
  std::vector<OptionScores> scores(std::span<const OptionExample> batch,
                                   const LossConfig& config) const;

 private:
  struct Rows;

  Rows rows_of(std::span<const Prompt* const> prompts) const;
  torch::Tensor embed(const Rows& rows, const torch::Tensor& video_BFD) const;
  torch::Tensor hidden(torch::Tensor x_BSD, const Rows& rows) const;
  torch::Tensor logits(const torch::Tensor& x_BSD, const Rows& rows) const;
  torch::Tensor qav_loss(std::span<const Example> batch, const torch::Tensor& frames_BFC,
                         const LossConfig& config) const;
  torch::Tensor layer(const torch::Tensor& x_BSD, int64_t index, const Rows& rows,
                      const torch::Tensor& turns) const;
  torch::Tensor attention(const torch::Tensor& x_BSD, int64_t index, const Rows& rows,
                          const torch::Tensor& turns) const;
  torch::Tensor adapter(const torch::Tensor& q_BHSd, int64_t index) const;
  torch::Tensor own_questions(std::span<const Example> batch, const torch::Tensor& vaq_logits_BSV,
                              const torch::Tensor& x_BSD, const LossConfig& config,
                              const NoiseSource& noise) const;

  const Bovila& model_;
  int64_t length_;
};

}  // namespace bovila::testing
