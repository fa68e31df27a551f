// A shard as HDF5: one of a set, whose manifest is checked for its size alone when it is opened,
// and one that holds a single video.
#include "src/features/feature_index.h"
#include "tests/fuzz/harness/feature_set.h"

namespace bovila::fuzz {

void fuzz_feature_shard(std::string_view bytes) {
  const std::string shard = put("shards/" + shard_name(0), bytes);
  write_feature_index(folder() + "/shards",
                      {true, "identity", {{{"a", 1}}}, {{std::ssize(bytes), "not looked at"}}});
  try {
    read_all(FeatureStore(folder() + "/shards"));
  } catch (const UserError&) {
  }
  read_all(FeatureStore::of_one_video(shard));
}

}  // namespace bovila::fuzz
