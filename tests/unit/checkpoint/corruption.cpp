// Bytes that change on the disk, in 1,000 seeded tries: each file of a checkpoint, of a feature
// set, of the weights and of a deck is damaged somewhere, and what reads it refuses it, gives what
// it gave before, or gives something else that a resumed run names. Prints a table of the tries.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <cstring>
#include <functional>
#include <map>
#include <numeric>
#include <random>

#include "bovila/checkpoint/checkpoint_fit.h"
#include "bovila/config/deck.h"
#include "bovila/features/feature_store.h"
#include "bovila/features/feature_writer.h"
#include "bovila/weights/llama_weights.h"
#include "tests/unit/checkpoint/checkpoint_helpers.h"

namespace {

namespace fs = std::filesystem;
using namespace bovila;
using namespace bovila::testing;

/// kNamed: another value, which going on from a checkpoint tells from the one before.
enum class Outcome { kRefused, kHarmless, kNamed, kWrong };
constexpr std::array kOutcomeNames = {"refused", "harmless", "named on resume", "WRONG"};
constexpr std::array kDamageNames = {"byte changed", "cut short", "emptied"};

/// Something on the disk and what reads it.
struct Subject {
  std::string name;
  std::vector<fs::path> files;
  std::function<Outcome()> read;  ///< may throw UserError: then it was refused
};

using Random = std::mt19937_64;  // the same numbers everywhere, unlike the distributions

std::string damaged(const std::string& whole, size_t damage, Random& random) {
  std::string text = whole;
  if (damage == 2) return "";
  if (damage == 1) return text.substr(0, random() % text.size());
  // Half of the bytes in the first 4 KB, where the structure of most formats is.
  const size_t range = random() % 2 == 0 ? std::min<size_t>(text.size(), 4096) : text.size();
  char& byte = text[random() % range];
  byte = static_cast<char>(byte ^ static_cast<char>(1 + random() % 255));
  return text;
}

Outcome outcome_of(const Subject& subject) {
  try {
    return subject.read();
  } catch (const UserError&) {
    return Outcome::kRefused;
  }
}

using Counts = std::map<std::pair<std::string, size_t>, std::array<int, kOutcomeNames.size()>>;

/// One file of one subject is damaged, read, and put right again.
void try_once(const Subject& subject, Random& random, Counts& counts) {
  const fs::path& path = subject.files[random() % subject.files.size()];
  const size_t damage = random() % 10 < 7 ? 0 : 1 + random() % 2;
  const std::string whole = read_text(path);
  put(path, damaged(whole, damage, random));
  const Outcome outcome = outcome_of(subject);
  CAPTURE(path.string());
  CHECK(outcome != Outcome::kWrong);
  put(path, whole);
  ++counts[{subject.name, damage}][static_cast<size_t>(outcome)];
}

void print(const Counts& counts) {
  std::string table = fmt::format("{:14} {:14}", "what", "damage");
  for (const char* name : kOutcomeNames) table += fmt::format(" {:>16}", name);
  for (const auto& [key, numbers] : counts) {
    table += fmt::format("\n{:14} {:14}", key.first, kDamageNames[key.second]);
    for (const int number : numbers) table += fmt::format(" {:>16}", number);
  }
  MESSAGE(table);
}

Subject checkpoint_subject(const fs::path& root) {
  save_checkpoint(root, make_state(100));
  const fs::path folder = checkpoint_folder(root, 100);
  Subject subject{"checkpoint", {}, [folder] {
                    return same(load_checkpoint(folder), make_state(100)) ? Outcome::kHarmless
                                                                          : Outcome::kWrong;
                  }};
  for (const auto& entry : fs::directory_iterator(folder)) subject.files.push_back(entry.path());
  return subject;
}

std::vector<float> all_frames(const std::string& folder) {
  const FeatureStore store(folder);
  std::vector<float> values;
  for (const std::string& name : store.names()) {
    std::vector<int64_t> rows(static_cast<size_t>(store.num_frames(name).value()));
    std::iota(rows.begin(), rows.end(), 0);
    const size_t before = values.size();
    values.resize(before + rows.size() * kFeatureDim);
    store.read(name, rows, std::span(values).subspan(before));
  }
  return values;
}

Subject feature_subject(const std::string& folder) {
  FeatureSource source{"identity", true, {{"a", 3}, {"b", 7}, {"c", 2}}, {}};
  source.read = [](size_t video, std::span<std::byte> out) {
    for (size_t i = 0; i < out.size() / 2; ++i) {
      const auto half = static_cast<uint16_t>(0x3c00 + (video * 100 + i) % 1000);
      std::memcpy(&out[2 * i], &half, sizeof half);
    }
  };
  write_feature_set(folder, source, 2, false, [](int64_t) {});
  Subject subject{"feature set", {}, [folder, expected = all_frames(folder)] {
                    return all_frames(folder) == expected ? Outcome::kHarmless : Outcome::kWrong;
                  }};
  for (const auto& entry : fs::directory_iterator(folder)) subject.files.push_back(entry.path());
  return subject;
}

/// All numbers of the weights in one list, and those that are in params.json alone.
std::vector<float> all_weights(const std::string& folder) {
  constexpr int64_t kVocabSize = 640;
  const auto params = read_llama_params(folder, kVocabSize);
  const auto weights = load_llama_weights(folder, params, torch::kFloat32);
  std::vector<torch::Tensor> tensors = {weights.tok_embeddings, weights.norm, weights.output};
  for (const LlamaLayerWeights& layer : weights.layers) {
    tensors.insert(tensors.end(), {layer.wqkv.values, layer.wo.values, layer.w13.values,
                                   layer.w2.values, layer.attention_norm, layer.ffn_norm});
  }
  for (torch::Tensor& tensor : tensors) tensor = tensor.flatten();
  const auto all = torch::cat(tensors);
  std::vector<float> values(all.data_ptr<float>(), all.data_ptr<float>() + all.numel());
  for (const double number : {params.norm_eps, params.rope_theta, double(params.n_heads)}) {
    values.push_back(static_cast<float>(number));
  }
  return values;
}

Subject weights_subject(const std::string& folder) {
  fs::copy(BOVILA_SOURCE_DIR "/tests/golden/mini/llama/mini", folder);
  const KeyValues identity = {{"model.llama", llama_identity(folder, torch::kFloat32)}};
  Subject subject{
      "weights", {}, [=, expected = all_weights(folder)] {
        if (all_weights(folder) == expected) return Outcome::kHarmless;
        // A digit of params.json that makes sense: a new run cannot know better.
        const KeyValues now = {{"model.llama", llama_identity(folder, torch::kFloat32)}};
        return compare_identities(identity, now).forbidden.empty() ? Outcome::kWrong
                                                                   : Outcome::kNamed;
      }};
  subject.files = {fs::path(folder) / "params.json", fs::path(folder) / "consolidated.00.pth"};
  return subject;
}

Subject deck_subject(const fs::path& path) {
  const std::string text = read_text(BOVILA_SOURCE_DIR "/input/demo.toml");
  put(path, text);
  const std::string expected = parse_deck(text, "deck").resolved;
  return {"deck", {path}, [=] {
            const std::string now = parse_deck(read_text(path), "deck").resolved;
            if (now == expected) return Outcome::kHarmless;
            const Fit fit = compare_decks(expected, now);  // a changed value is a value
            return fit.allowed.empty() && fit.forbidden.empty() ? Outcome::kWrong : Outcome::kNamed;
          }};
}

}  // namespace

TEST_CASE("1,000 damaged files are refused, harmless, or named when a run goes on") {
  constexpr int kTries = 1000;
  const TemporaryFolder temporary;
  const std::array subjects = {
      checkpoint_subject(temporary / "checkpoints"), feature_subject(temporary / "features"),
      weights_subject(temporary / "weights"), deck_subject(temporary / "deck.toml")};
  for (const Subject& subject : subjects) REQUIRE(outcome_of(subject) == Outcome::kHarmless);
  Random random(20240501);
  Counts counts;
  for (int i = 0; i < kTries; ++i) try_once(subjects[random() % subjects.size()], random, counts);
  for (const Subject& subject : subjects) CHECK(outcome_of(subject) == Outcome::kHarmless);
  print(counts);
}
