// Two lines of the model.
#include "bovila/model/video_embedding.h"

namespace bovila {

torch::Tensor video_tokens(const torch::Tensor& frames_BFC, const AdapterParameters& parameters,
                           torch::ScalarType precision) {
  const auto projected =
      torch::linear(frames_BFC.to(precision), parameters.visual_proj().to(precision));
  return projected + parameters.temporal_emb().to(precision);
}

}  // namespace bovila
