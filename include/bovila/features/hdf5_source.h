// Video features in an HDF5 file with one dataset a video, as h5py writes it.
// Fed by any program; feeds tools/pth2h5.
#pragma once

#include <string>

#include "bovila/features/feature_writer.h"

namespace bovila {

/// True for a file that begins as HDF5's do.
bool is_hdf5_file(const std::string& path);

/// The videos of a file, each a dataset [frames, width] of half, bfloat16, float or double (unless
/// all are half, all become float), all of one width. A video is called as its dataset, with the
/// groups that it is in
/// ("show/clip"); where every dataset of the file has one last name ("clip/features"), as its
/// groups. Links to other places and files are not followed. Videos of no frames are left out and
/// noted. The identity is that of the file's bytes. @throws UserError naming file and dataset;
/// `read` does so too.
FeatureSource hdf5_source(const std::string& path);

}  // namespace bovila
