// One .npy among a video's features: header and values.
#include "bovila/features/npy.h"

#include <filesystem>

#include "bovila/features/feature_store.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_npy(std::string_view bytes) {
  put("npy/video.npy", bytes);
  const FeatureSource source = npy_source(folder() + "/npy");
  const auto values = static_cast<size_t>(source.videos[0].num_frames * kFeatureDim);
  std::vector<std::byte> out(values * (source.half ? 2 : 4));
  source.read(0, out);
}

}  // namespace bovila::fuzz
