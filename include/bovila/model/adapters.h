// Everything that is trained, in one flat fp32 buffer: adapter prompts, gates, projection,
// embedding. Fed by the deck (start values) or a checkpoint; feeds model/bovila.h, and train/ as
// one vector that is all-reduced, clipped, stepped and saved whole. SPEC 1.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "bovila/config/config.h"
#include "bovila/dist/libtorch.h"
#include "bovila/features/feature_store.h"
#include "bovila/weights/llama_params.h"

namespace bovila {

/// One named tensor of the buffer.
struct NamedParameter {
  std::string name;  ///< as in published checkpoints: "layers.3.attention.gate1"
  std::vector<int64_t> shape;
  int64_t offset = 0;  ///< first element in the flat buffer
  int64_t numel = 0;
};

/// The trained parameters (and scale_proj, which is saved with them though frozen by default, SPEC
/// D3).
///
/// flat() = [ decayed ... | not decayed | frozen ]: the first num_trained() elements are stepped,
/// the first num_decayed() of them with weight decay. Each named tensor is a leaf whose storage and
/// whose gradient are slices of flat() and gradient().
class AdapterParameters {
 public:
  /// Start values of SPEC 1 from named streams of `seed`, those of scale_proj from
  /// model.scale_proj_seed where it is set: the same at any number of ranks.
  /// `feature_dim`: the width of a frame's features, C.
  /// @throws UserError when adapter_layers is more than the LLaMA has.
  AdapterParameters(const LlamaParams& llama, const ModelConfig& model, bool train_scale_proj,
                    uint64_t seed, torch::Device device, int64_t feature_dim = kFeatureDim);

  const std::vector<NamedParameter>& names() const { return entries_; }
  torch::Tensor flat() const { return flat_; }          // [all]
  torch::Tensor gradient() const { return gradient_; }  // [num_trained]
  int64_t num_trained() const { return num_trained_; }
  int64_t num_decayed() const { return num_decayed_; }

  /// Where a tensor lies in flat(). @throws ProgramError when there is none of this name.
  const NamedParameter& entry(const std::string& name) const;
  /// The leaf of this name. @throws ProgramError when there is none.
  const torch::Tensor& at(const std::string& name) const;
  /// Overwrites a tensor's values. @throws UserError when name or shape is not ours.
  void assign(const std::string& name, const torch::Tensor& values);

  /// Layers of the LLaMA that come before the first adapted one.
  int64_t first_adapted_layer() const { return first_adapted_layer_; }
  torch::Tensor query() const { return leaves_[0]; }         // [adapter_layers * A, D]
  torch::Tensor visual_proj() const { return leaves_[1]; }   // [D, C]
  torch::Tensor temporal_emb() const { return leaves_[2]; }  // [F, D]
  torch::Tensor gate1(int64_t layer) const;                  // [1, H, 1, 1]
  torch::Tensor gate2(int64_t layer) const;                  // [1, H, 1, 1]
  /// Both gates of all adapted layers, a view without gradient: [adapter_layers, 2, H].
  torch::Tensor gates() const;
  /// The gradients that heads give their own part to, adapter_query's and all gates': views, flat.
  std::array<torch::Tensor, 2> gradients_of_heads() const;
  torch::Tensor scale_weight() const { return *(leaves_.end() - 2); }  // [1, V]
  torch::Tensor scale_bias() const { return leaves_.back(); }          // [1]

 private:
  void add(std::string name, std::vector<int64_t> shape);
  void make_leaves();
  void set_start_values(const ModelConfig& model, uint64_t seed);

  std::vector<NamedParameter> entries_;
  std::vector<torch::Tensor> leaves_;
  torch::Tensor flat_;
  torch::Tensor gradient_;
  int64_t num_trained_ = 0;
  int64_t num_decayed_ = 0;
  int64_t first_adapted_layer_ = 0;
};

}  // namespace bovila
