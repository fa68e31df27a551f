// BoViLA: a frozen LLaMA, its adapters, and video frames among its tokens.
// Fed by model/llama.h, model/adapters.h, model/video_embedding.h; feeds objective/objective.h
// (losses) and evaluation/evaluator.h (option scores).
#pragma once

#include <string>
#include <vector>

#include "bovila/dist/libtorch.h"
#include "bovila/model/adapters.h"
#include "bovila/model/llama.h"
#include "bovila/model/sequences.h"

namespace bovila {

/// Tokens of a pass [M] (Sequences::token) and what stands in the place of their embeddings, [M,
/// D].
struct Overlay {
  torch::Tensor tokens;
  torch::Tensor values;
};

class Bovila {
 public:
  Bovila(Llama llama, AdapterParameters parameters)
      : llama_(std::move(llama)), parameters_(std::move(parameters)) {}

  const Llama& llama() const { return llama_; }
  AdapterParameters& parameters() { return parameters_; }
  const AdapterParameters& parameters() const { return parameters_; }

  /// Keys, values and gates of every layer's adapter, of the heads that this rank has. They depend
  /// on the parameters alone: computed once a micro-step and used by all its passes.
  std::vector<AdapterSlots> adapter_slots() const;
  /// Collective over the LLaMA's group, after the last backward pass of a step: what each rank's
  /// heads have given to the gradients of adapter_query and the gates is summed. Those of the other
  /// parameters are whole on each. Nothing where the LLaMA is whole.
  void complete_gradient();

  /// Frames [B, F, C] in the LLaMA's space, [B, F, D].
  torch::Tensor project(const torch::Tensor& frames_BFC) const;
  /// Projected frames as token embeddings, [B, F, D].
  torch::Tensor place(const torch::Tensor& projected_BFD) const;
  /// Both: frames [B, F, C] as token embeddings [B, F, D].
  torch::Tensor video(const torch::Tensor& frames_BFC) const { return place(project(frames_BFC)); }

  /// Hidden states [U, D] of the wanted tokens (Sequences::outputs). video_BFD takes the place of
  /// each row's video slots; `self_question`, when defined, then takes the place of other tokens
  /// (the Gumbel question).
  torch::Tensor hidden(const Sequences& sequences, const torch::Tensor& video_BFD,
                       std::span<const AdapterSlots> adapters,
                       const Overlay& self_question = {}) const;

 private:
  Llama llama_;
  AdapterParameters parameters_;
};

/// After a number that is not finite: what to do about it. Looks for the cause in the weights and
/// the trained parameters, all of them; where these are finite it is the training, and `otherwise`
/// holds.
std::string advice_for_non_finite(const Bovila& model, const std::string& otherwise);

}  // namespace bovila
