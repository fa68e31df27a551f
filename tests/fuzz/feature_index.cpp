// A feature set's manifest.json and, behind a record separator, its index.json, over a shard that
// is whole. With an empty first part the manifest is one that vouches for the index.
#include <nlohmann/json.hpp>

#include "bovila/core/hash.h"
#include "src/features/feature_index.h"
#include "tests/fuzz/harness/feature_set.h"

namespace bovila::fuzz {
namespace {

std::string manifest_for(const std::string& set, std::string_view index) {
  const std::string shard = set + "/" + shard_name(0);
  const nlohmann::json file = {{"bytes", std::filesystem::file_size(shard)},
                               {"sha256", sha256_of_file(shard)}};
  return nlohmann::json{
      {"version", FeatureIndex::kVersion}, {"sha256", sha256_of(index)}, {"shards", {file}}}
      .dump();
}

}  // namespace

void fuzz_feature_index(std::string_view bytes) {
  static const std::string set = feature_set();
  const auto texts = parts(bytes, 2);
  put("features/index.json", texts[1]);
  put("features/manifest.json", texts[0].empty() ? manifest_for(set, texts[1]) : texts[0]);
  const FeatureStore store(set);
  read_all(store);
  verify_feature_set(set);
}

}  // namespace bovila::fuzz
