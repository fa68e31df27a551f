// A line of JSON with a question for `bovila answer`, as a question of each data set.
#include "bovila/data/query.h"

#include "bovila/data/annotations.h"
#include "tests/fuzz/harness/feature_set.h"

namespace bovila::fuzz {

void fuzz_query(std::string_view bytes) {
  static const FeatureStore features(feature_set());
  Query query;
  parse_query(bytes, query);
  for (const AnnotationReader& reader : annotation_readers()) {
    DataConfig config;
    config.dataset = reader.name;
    config.subtitles = reader.has_subtitles;
    try {
      Query one = query;
      const Sample sample = make_sample(one, config, features);
      std::vector<float> frames(static_cast<size_t>(4 * kFeatureDim));
      read_clip(features, sample.clip, 4, frames);
    } catch (const UserError&) {  // of this data set; others word it otherwise
    }
  }
}

}  // namespace bovila::fuzz
