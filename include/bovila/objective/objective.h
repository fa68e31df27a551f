// The training objective: answer the question, ask it, answer one's own question; Flipped-VQA's
// third pass, tell the video's order. SPEC 5, 11. Fed by a batch of examples and the model; feeds
// train/train_step.h with a loss to differentiate.
//
//   VQA  the answer's tokens given the question: evidential loss (or cross-entropy)
//   VAQ  the question's tokens given the answer: cross-entropy
//   AQA  the answer's tokens given the question that VAQ just asked: cross-entropy, gated by 1 - u;
//        it teaches whoever answers, who asked, or both (loss.aqa_gradient)
//   QAV  each frame, among the clip's, given question, answer and the frames before it:
//   cross-entropy
#pragma once

#include <functional>
#include <span>

#include "bovila/config/config.h"
#include "bovila/data/example.h"
#include "bovila/dist/libtorch.h"
#include "bovila/model/bovila.h"
#include "bovila/model/gumbel.h"
#include "bovila/objective/loss_names.h"

namespace bovila {

/// Gives the Gumbel noise [num_tokens, vocab_size] of one example's question. Called by several
/// threads.
using NoiseSource = std::function<torch::Tensor(const Example& example, int64_t num_tokens)>;

/// The losses of one micro-batch: scalars in fp32 on the model's device, weights applied, without a
/// graph. A term that the deck leaves out is 0.
struct Losses {
  torch::Tensor total;  ///< the sum of the others: what is differentiated
  torch::Tensor vqa;    ///< cross-entropy of the answers, without weight; in `total` when edl_mse
                        ///< is 0, else times edl_ce
  torch::Tensor edl_mse;
  torch::Tensor edl_reg;
  torch::Tensor vaq;
  torch::Tensor aqa;
  torch::Tensor qav;
  torch::Tensor uncertainty;  ///< mean u of the VQA labels; not a loss; 0 where nothing gives it

  /// All of them in the order of kLossNames: [8].
  torch::Tensor values() const;
};

/// How the passes are taken; results depend on it by rounding only.
struct Passes {
  double scale = 1;            ///< of the gradient
  int64_t tokens_at_once = 0;  ///< of VAQ, AQA and QAV prompts; 0: all at once. Bounds memory
};

/// Runs the passes that the deck asks for and adds the gradient of the total to the parameters'.
/// Under torch::NoGradGuard the losses alone. Each pass is differentiated and freed before the
/// next. `batch` must not be empty.
Losses add_gradients(const Bovila& model, std::span<const Example> batch, const LossConfig& config,
                     const NoiseSource& noise, const Passes& passes = {});

/// Noise from the named stream of (seed, epoch, row): independent of ranks and of what ran before.
NoiseSource named_noise(uint64_t seed, int64_t epoch, int64_t vocab_size);

}  // namespace bovila
