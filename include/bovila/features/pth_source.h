// Video features in a .pth, the published form: a dict of name -> [frames, width].
// Fed by files/pth.h; feeds tools/pth2h5.
#pragma once

#include <string>

#include "bovila/features/feature_writer.h"

namespace bovila {

/// The videos of a .pth, each of half, bfloat16, float or double (unless all are half, all become
/// float), all of one width. Videos of no frames are left out and noted. The identity is the
/// file's. What several videos share in the file is verified before the first is read.
/// @throws UserError naming file and video; `read` does so too.
FeatureSource pth_source(const std::string& path);

}  // namespace bovila
