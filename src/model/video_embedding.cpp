// Two lines of the model.
#include "bovila/model/video_embedding.h"

namespace bovila {

torch::Tensor project_frames(const torch::Tensor& frames_BFC, const AdapterParameters& parameters,
                             torch::ScalarType precision) {
  return torch::linear(frames_BFC.to(precision), parameters.visual_proj().to(precision));
}

torch::Tensor video_tokens(const torch::Tensor& projected_BFD,
                           const AdapterParameters& parameters) {
  return projected_BFD + parameters.temporal_emb().to(projected_BFD.scalar_type());
}

}  // namespace bovila
