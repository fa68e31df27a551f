// Hashes over contents. Features and weights are large: their own checksums, which are checked when
// they are read, stand for them.
#include "bovila/train/identity.h"

#include <fmt/format.h>

#include <filesystem>

#include "bovila/core/hash.h"
#include "bovila/weights/llama_weights.h"

namespace bovila {
namespace {

/// Fields in a form in which no two different lists of fields are the same bytes.
class FieldHash {
 public:
  void add(int64_t value) { sha256_.update(fmt::format("{};", value)); }
  void add(const std::string& text) {
    add(static_cast<int64_t>(text.size()));
    sha256_.update(text);
  }
  template <typename T>
  void add(const std::optional<T>& value) {
    add(static_cast<int64_t>(value.has_value()));
    if (value) add(*value);
  }
  std::string finish() { return sha256_.finish_hex(); }

 private:
  Sha256 sha256_;
};

void add_sample(const Sample& sample, FieldHash& hash) {
  hash.add(sample.question_id);
  hash.add(sample.video_id);
  hash.add(sample.question);
  hash.add(std::ssize(sample.options));
  for (const std::string& option : sample.options) hash.add(option);
  hash.add(sample.answer);
  hash.add(sample.question_type);
  hash.add(static_cast<int64_t>(sample.about_dialogue));
  hash.add(sample.dialogue);
  for (const int option : sample.order) hash.add(option);
  hash.add(std::ssize(sample.clip));
  for (const FrameSpan& span : sample.clip) {
    hash.add(span.video);
    hash.add(span.first);
    hash.add(span.last);
  }
}

/// A tokenizer.json's begin and end of a text may stand in the file beside it.
std::string tokenizer_identity(const std::string& path) {
  const auto beside = std::filesystem::path(path).replace_filename("tokenizer_config.json");
  std::string identity = file_identity(path);
  if (path.ends_with(".json") && std::filesystem::exists(beside)) {
    identity += ", with " + file_identity(beside);
  }
  return identity;
}

}  // namespace

std::string file_identity(const std::string& path) {
  return fmt::format("{} bytes, SHA-256 {}", std::filesystem::file_size(path),
                     sha256_of_file(path));
}

std::string samples_identity(std::span<const Sample> samples) {
  FieldHash hash;
  for (const Sample& sample : samples) add_sample(sample, hash);
  return fmt::format("{} questions, SHA-256 {}", samples.size(), hash.finish());
}

std::map<std::string, std::string> model_identity(const Config& config,
                                                  const Interrupt& interrupt) {
  return {{"model.llama",
           llama_identity(config.model.llama, scalar_type(config.model.precision), interrupt)},
          {"model.tokenizer", tokenizer_identity(find_tokenizer(config.model))}};
}

std::string features_identity(const FeatureStore& features) {
  return fmt::format("{} videos, SHA-256 {}", features.num_videos(), features.source());
}

std::map<std::string, std::string> make_identity(const Config& config, const Inputs& inputs,
                                                 const Interrupt& interrupt) {
  auto identity = model_identity(config, interrupt);
  identity["data.features"] = features_identity(*inputs.features);
  identity["data.val_split"] = samples_identity(inputs.val->samples());
  if (inputs.train) identity["data.train_split"] = samples_identity(inputs.train->samples());
  if (!config.train.start.empty()) identity["train.start"] = file_identity(config.train.start);
  return identity;
}

}  // namespace bovila
