// The index is JSON; the manifest's hash guards every byte of it.
#include "src/data/feature_index.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "bovila/core/durable_file.h"
#include "bovila/core/error.h"
#include "bovila/core/hash.h"

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
  auto parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) {
    throw UserError("{} is damaged: it is no JSON object; convert the features again",
                    path.string());
  }
  return parsed;
}

FeatureIndex from_json(const json& index) {
  FeatureIndex out;
  out.half = index.at("type").get<std::string>() == "float16";
  out.source = index.at("source").get<std::string>();
  for (const json& shard : index.at("shards")) {
    out.shards.emplace_back();
    for (const json& video : shard) {
      out.shards.back().push_back({video.at(0).get<std::string>(), video.at(1).get<int64_t>()});
    }
  }
  return out;
}

}  // namespace

std::string shard_name(size_t shard) { return fmt::format("shard-{:05}.h5", shard); }

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
  const json manifest = {
      {"version", FeatureIndex::kVersion}, {"size", text.size()}, {"sha256", sha256_of(text)}};
  write_file_durably(folder / kManifest, manifest.dump() + "\n");
}

FeatureIndex read_feature_index(const fs::path& folder) {
  const fs::path index_path = folder / kIndex, manifest_path = folder / kManifest;
  const json manifest = parse(manifest_path, read_text(manifest_path));
  const json version = manifest.value("version", json());
  if (version != FeatureIndex::kVersion) {
    throw UserError("{} is of version {}, this program reads version {}; convert the features again",
                    manifest_path.string(), version.dump(), FeatureIndex::kVersion);
  }
  const std::string text = read_text(index_path);
  if (manifest.value("sha256", json()) != sha256_of(text)) {
    throw UserError("{} is damaged: its hash is not the one in {}; convert the features again",
                    index_path.string(), kManifest);
  }
  try {
    return from_json(parse(index_path, text));
  } catch (const json::exception& error) {
    throw UserError("{}: {}", index_path.string(), error.what());
  }
}

}  // namespace bovila
