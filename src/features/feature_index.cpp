// The index is JSON; the manifest's hashes guard every byte of it and of the shards.
#include "src/features/feature_index.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "bovila/core/durable_file.h"
#include "bovila/core/error.h"
#include "bovila/core/hash.h"
#include "bovila/core/json_depth.h"

namespace bovila {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kIndex = "index.json";
constexpr const char* kManifest = "manifest.json";

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw UserError("{} cannot be read; a feature set is a folder made by tools/pth2h5",
                    path.string());
  }
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

json parse(const fs::path& path, const std::string& text) {
  auto parsed =
      is_deep_json(text) ? json() : json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) {
    throw UserError("{} is damaged: it is no JSON object; convert the features again",
                    path.string());
  }
  return parsed;
}

constexpr int64_t kMaxFrames = int64_t{1} << 40;  // of all videos: their bytes are counted in int64

/// A video's frames, with those before it no more than can be.
VideoFrames read_video(const fs::path& path, const json& video, int64_t& total) {
  VideoFrames out{video.at(0).get<std::string>(), 0};
  const json& count = video.at(1);
  // Before it is taken: nlohmann-json makes an int64 of any number.
  const bool fits = count.is_number_unsigned() && count.get<uint64_t>() > 0 &&
                    count.get<uint64_t>() <= static_cast<uint64_t>(kMaxFrames - total);
  if (!fits) {
    throw UserError("{} is damaged: video '{}' has {} frames; convert the features again",
                    path.string(), out.name, count.dump());
  }
  out.num_frames = count.get<int64_t>();
  total += out.num_frames;
  return out;
}

FeatureIndex from_json(const fs::path& path, const json& index) {
  FeatureIndex out;
  int64_t total = 0;
  std::set<std::string> names;
  out.half = index.at("type").get<std::string>() == "float16";
  out.source = index.at("source").get<std::string>();
  for (const json& shard : index.at("shards")) {
    out.shards.emplace_back();
    for (const json& video : shard) {
      out.shards.back().push_back(read_video(path, video, total));
      const std::string& name = out.shards.back().back().name;
      if (names.insert(name).second) continue;
      throw UserError("{} is damaged: video '{}' is there twice; convert the features again",
                      path.string(), name);
    }
  }
  return out;
}

void check_files(const fs::path& folder, const FeatureIndex& index) {
  if (index.files.size() != index.shards.size()) {
    throw UserError("{} is damaged: {} shards, {} expected; convert the features again",
                    (folder / kManifest).string(), index.files.size(), index.shards.size());
  }
  for (size_t i = 0; i < index.files.size(); ++i) {
    const fs::path path = folder / shard_name(i);
    std::error_code missing;
    const uintmax_t bytes = fs::file_size(path, missing);
    if (missing) {
      throw UserError("{} is missing: the feature set is incomplete; convert the features again",
                      path.string());
    }
    if (bytes != static_cast<uintmax_t>(index.files[i].bytes)) {
      throw UserError(
          "{} has {} bytes, expected {}: it is cut short or damaged; convert the "
          "features again",
          path.string(), bytes, index.files[i].bytes);
    }
  }
}

}  // namespace

std::string shard_name(size_t shard) {
  return fmt::format("shard-{:05}.h5", shard);
}

void write_feature_index(const fs::path& folder, const FeatureIndex& index) {
  json out = {{"version", FeatureIndex::kVersion},
              {"type", index.half ? "float16" : "float32"},
              {"source", index.source},
              {"shards", json::array()}};
  for (const auto& shard : index.shards) {
    json videos = json::array();
    for (const VideoFrames& video : shard) videos.push_back({video.name, video.num_frames});
    out["shards"].push_back(std::move(videos));
  }
  const std::string text = out.dump() + "\n";
  write_file_durably(folder / kIndex, text);
  json manifest = {
      {"version", FeatureIndex::kVersion}, {"sha256", sha256_of(text)}, {"shards", json::array()}};
  for (const ShardFile& file : index.files) {
    manifest["shards"].push_back({{"bytes", file.bytes}, {"sha256", file.sha256}});
  }
  write_file_durably(folder / kManifest, manifest.dump() + "\n");
}

FeatureIndex read_feature_index(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    throw UserError("{}: expected a feature set made by tools/pth2h5, there is no such folder",
                    folder.string());
  }
  const fs::path index_path = folder / kIndex, manifest_path = folder / kManifest;
  const json manifest = parse(manifest_path, read_text(manifest_path));
  const json version = manifest.value("version", json());
  if (version != FeatureIndex::kVersion) {
    throw UserError(
        "{} is of version {}, this program reads version {}; convert the features again",
        manifest_path.string(), version.dump(), FeatureIndex::kVersion);
  }
  const std::string text = read_text(index_path);
  if (manifest.value("sha256", json()) != sha256_of(text)) {
    throw UserError("{} is damaged: its hash is not the one in {}; convert the features again",
                    index_path.string(), kManifest);
  }
  try {
    FeatureIndex index = from_json(index_path, parse(index_path, text));
    for (const json& file : manifest.at("shards")) {
      index.files.push_back(
          {file.at("bytes").get<int64_t>(), file.at("sha256").get<std::string>()});
    }
    check_files(folder, index);
    return index;
  } catch (const json::exception& error) {
    throw UserError("{} is damaged: {}; convert the features again", manifest_path.string(),
                    error.what());
  }
}

}  // namespace bovila
