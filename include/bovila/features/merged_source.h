// Feature sets that are there already, and several sources of features as one.
// Fed by features/feature_store.h and other sources; feeds tools/pth2h5.
#pragma once

#include <string>
#include <vector>

#include "bovila/features/feature_writer.h"

namespace bovila {

/// The videos of a feature set, as it was made and of its identity. @throws UserError when
/// `folder` is none; `read` does so for a damaged frame.
FeatureSource set_source(const std::string& folder);

/// All videos of one or more sources, called in messages as in `paths`; half where all are half. A
/// video that several have with the same frames is taken once. Memory: twice the largest video that
/// several have.
/// @throws UserError when the frames of two sources have different widths, or two have different
/// frames of a video of one name.
FeatureSource merged_source(std::vector<FeatureSource> sources,
                            const std::vector<std::string>& paths);

}  // namespace bovila
