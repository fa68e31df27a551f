// A STAR split of a few questions about one video, with the golden folder's tokenizer.
// Fed to data/batch_loader.h, report/metrics.h, evaluation/evaluator.h and train/experiment.h.
#pragma once

#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "bovila/data/dataset.h"
#include "bovila/features/feature_writer.h"
#include "tests/unit/temp_folder.h"

namespace bovila::testing {

inline const std::string kMiniTokenizer =
    BOVILA_SOURCE_DIR "/tests/golden/mini/llama/tokenizer.model";

/// A question whose answer is option `answer`; with -1 the file hides it.
inline nlohmann::json star_question(const std::string& id, int answer) {
  nlohmann::json question = {{"question_id", id}, {"question", "what did the boy do with " + id},
                             {"video_id", "V1"},  {"start", 0.0},
                             {"end", 4.0},        {"choices", nlohmann::json::array()}};
  const std::vector<std::string> options = {"Hold the door", "Open the book of the girl", "Eat",
                                            "Throw the bag"};
  for (size_t i = 0; i < options.size(); ++i) {
    question["choices"].push_back({{"choice_id", i}, {"choice", options[i]}});
  }
  if (answer >= 0) question["answer"] = options[static_cast<size_t>(answer)];
  return question;
}

/// Sequence_0, Sequence_1, ...
inline nlohmann::json star_questions(int count) {
  auto all = nlohmann::json::array();
  for (int i = 0; i < count; ++i) {
    all.push_back(star_question("Sequence_" + std::to_string(i), i % 4));
  }
  return all;
}

/// One video "V1" of five frames.
inline void write_one_video(const std::string& folder) {
  const FeatureSource source{
      "test", /*half=*/false, {{"V1", 5}}, [](size_t, std::span<std::byte> out) {
        for (size_t i = 0; i < out.size() / sizeof(float); ++i) {
          const float value = static_cast<float>(i % 97) / 97.0F;
          std::memcpy(out.data() + i * sizeof(float), &value, sizeof(float));
        }
      }};
  write_feature_set(folder, source, 1, false, [](int64_t) {});
}

struct SmallStar {
  explicit SmallStar(const nlohmann::json& questions, int64_t max_seq_len = 160) {
    folder.write("STAR_val.json", questions.dump());
    write_one_video(folder.path() + "/features");
    config.model.max_feats = 3;
    config.model.max_seq_len = max_seq_len;
    config.data.dataset = "star";
    config.data.folder = folder.path();
    features = std::make_unique<FeatureStore>(folder.path() + "/features");
    tokenizer = load_tokenizer(kMiniTokenizer);
    data = std::make_unique<Dataset>(config, "val", *features, *tokenizer);
  }

  TempFolder folder;
  Config config;
  std::unique_ptr<FeatureStore> features;
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<Dataset> data;
};

}  // namespace bovila::testing
