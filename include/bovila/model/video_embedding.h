// Video frames as tokens of the LLaMA: a projection and an embedding of each frame's place. SPEC 2.
// Fed by the frames of data/example.h; feeds model/bovila.h.
#pragma once

#include "bovila/dist/libtorch.h"
#include "bovila/model/adapters.h"

namespace bovila {

/// visual_proj(frames) + temporal_emb: frames_BFC [B, F, 768] to [B, F, D], computed in
/// `precision`. Rows of zeros (a short clip, a missing video) get their temporal embedding too.
torch::Tensor video_tokens(const torch::Tensor& frames_BFC, const AdapterParameters& parameters,
                           torch::ScalarType precision);

}  // namespace bovila
