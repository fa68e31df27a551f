// Video features in NumPy's own form: a folder with NAME.npy a video.
// Fed by tools/extract_features.py, or by any program's numpy.save; feeds tools/pth2h5.
#pragma once

#include <string>

#include "bovila/features/feature_writer.h"

namespace bovila {

/// The videos of a folder, each NAME.npy an array [frames, 768] of half, float or double (unless
/// all are half, all become float), by name; what else is in the folder is noted, hidden files are
/// not. Videos of no frames are left out and noted. The identity is that of all their bytes. What
/// `read` reads is checked to be finite. @throws UserError naming the file that is something else,
/// is cut short, or cannot be read; `read` does so too.
FeatureSource npy_source(const std::string& folder);

}  // namespace bovila
