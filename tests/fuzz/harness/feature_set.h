// A feature set of two videos, "a" of 3 frames and "b" of 2, and every way to read one.
// Fed by the targets about feature sets and questions.
#pragma once

#include <cstring>
#include <filesystem>
#include <numeric>

#include "bovila/core/error.h"
#include "bovila/data/clip.h"
#include "bovila/features/feature_store.h"
#include "bovila/features/feature_writer.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

/// Writes it once a process; its folder.
inline const std::string& feature_set() {
  static const std::string made = [] {
    FeatureSource source{"identity", true, {{"a", 3}, {"b", 2}}, {}};
    source.read = [](size_t, std::span<std::byte> out) { std::ranges::fill(out, std::byte{0x3c}); };
    write_feature_set(folder() + "/features", source, 1, true, [](int64_t) {});
    return folder() + "/features";
  }();
  return made;
}

/// A question's frames of each video.
inline void read_all(const FeatureStore& store) {
  constexpr int64_t kMaxFeats = 4;
  std::vector<float> frames(static_cast<size_t>(kMaxFeats * kFeatureDim));
  for (const std::string& name : store.names()) {
    const std::vector<FrameSpan> clip = {{name, 0, FrameSpan::kToEnd}, {name, 1, 2}};
    read_clip(store, clip, kMaxFeats, frames);
  }
}

}  // namespace bovila::fuzz
