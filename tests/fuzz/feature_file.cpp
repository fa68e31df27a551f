// An HDF5 file with a dataset a video.
#include "bovila/features/hdf5_source.h"

#include "tests/fuzz/harness/feature_set.h"

namespace bovila::fuzz {

void fuzz_feature_file(std::string_view bytes) {
  const FeatureSource source = hdf5_source(put("all.h5", bytes));
  for (size_t video = 0; video < source.videos.size(); ++video) {
    const auto values = static_cast<size_t>(source.videos[video].num_frames * kFeatureDim);
    std::vector<std::byte> frames(values * (source.half ? 2 : 4));
    source.read(video, frames);
  }
}

}  // namespace bovila::fuzz
