// Video frames as tokens of the LLaMA: a projection and an embedding of each frame's place. SPEC 2.
// Fed by the frames of data/example.h; feeds model/bovila.h.
#pragma once

#include "bovila/dist/libtorch.h"
#include "bovila/model/adapters.h"

namespace bovila {

/// visual_proj(frames): frames_BFC [B, F, C] to [B, F, D], computed in `precision`.
torch::Tensor project_frames(const torch::Tensor& frames_BFC, const AdapterParameters& parameters,
                             torch::ScalarType precision);

/// Projected frames + temporal_emb, [B, F, D]. Rows of zeros (a short clip, a missing video) get
/// their temporal embedding too.
torch::Tensor video_tokens(const torch::Tensor& projected_BFD, const AdapterParameters& parameters);

}  // namespace bovila
