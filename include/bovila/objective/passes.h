// The passes of the training objective: prompts in, logits at the label tokens out. SPEC 5.
// Fed by a micro-batch and the model; feeds objective/objective.h.
//
// Legend: U wanted tokens, N label tokens that count, M tokens of self-made questions, V
// vocabulary.
#pragma once

#include <span>
#include <vector>

#include "bovila/config/config.h"
#include "bovila/data/example.h"
#include "bovila/dist/libtorch.h"
#include "bovila/model/bovila.h"
#include "bovila/objective/objective.h"

namespace bovila {

/// What all passes of a micro-batch read, computed once and cut off the graph: so each pass can be
/// differentiated and freed by itself, while the gradients of what it read add up here.
class SharedInputs {
 public:
  /// `with_frames`: for QAV, whose targets the projected frames are.
  SharedInputs(const Bovila& model, std::span<const Example> examples, bool with_frames);

  const torch::Tensor& video_BFD() const { return video_BFD_; }
  /// Projected frames without their temporal embedding; undefined unless asked for.
  const torch::Tensor& frames_BFD() const { return frames_BFD_; }
  const std::vector<AdapterSlots>& adapters() const { return adapters_; }

  /// Takes what the passes added up on to the parameters. Once, after the last pass.
  void backward() const;

 private:
  struct Cut {
    torch::Tensor computed, leaf;
  };

  torch::Tensor cut(const torch::Tensor& computed);

  std::vector<Cut> cuts_;
  torch::Tensor frames_BFD_, video_BFD_;
  std::vector<AdapterSlots> adapters_;
};

/// Some consecutive questions of a micro-batch.
struct Questions {
  const Bovila& model;
  std::span<const Example> examples;
  const LossConfig& config;
  torch::Tensor video_BFD;
  const std::vector<AdapterSlots>& adapters;

  torch::Device device() const { return model.llama().device(); }
  int64_t size() const { return static_cast<int64_t>(examples.size()); }
};

/// Label tokens, and the logits that are scored against them.
struct Scored {
  torch::Tensor logits_NV;   ///< fp32
  torch::Tensor labels_N;    ///< token ids
  torch::Tensor question_N;  ///< which of the questions each belongs to
};

struct Asked {
  Scored labels;                ///< the question's tokens
  torch::Tensor self_question;  ///< [M, D], what the model asks itself; undefined when AQA is off
};

/// How many label tokens of all questions' prompts count.
int64_t count_labels(std::span<const Example> batch, Prompt Example::*prompt);

/// VAQ: positions label_start - 1 and on are scored against the question's tokens, and (one later,
/// as published, unless aligned: SPEC D7) are what the model's own question is sampled from.
Asked ask(const Questions& questions, const NoiseSource& noise);

/// QAV: logits [B * F, F] of each slot's frame among the frames of its clip, frames_BFD, read off
/// the position before it; the slot's own place is the target. No query stands behind the video, so
/// gate2 has no part in it.
torch::Tensor frame_logits(const Questions& questions, const torch::Tensor& frames_BFD);

/// VQA, or AQA when a self-made question takes the given one's place.
Scored answer(const Questions& questions, const torch::Tensor& self_question = {});

}  // namespace bovila
