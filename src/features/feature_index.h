// index.json and manifest.json of a feature set, shared by its writer and its reader.
// Fed by src/features/feature_writer.cpp; feeds src/features/feature_store.cpp.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "bovila/features/feature_writer.h"

namespace bovila {

/// A shard as it was when it was closed.
struct ShardFile {
  int64_t bytes = 0;
  std::string sha256;
};

struct FeatureIndex {
  static constexpr int kVersion = 1;
  bool half = true;
  std::string source;
  std::vector<std::vector<VideoFrames>> shards;
  std::vector<ShardFile> files;  ///< one a shard
};

/// "shard-00012.h5"
std::string shard_name(size_t shard);
/// Writes both files into `folder`, the manifest last.
void write_feature_index(const std::filesystem::path& folder, const FeatureIndex& index);
/// Also checks that all shards are there with their sizes.
/// @throws UserError naming the file and what is wrong with it.
FeatureIndex read_feature_index(const std::filesystem::path& folder);

}  // namespace bovila
