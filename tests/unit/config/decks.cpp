// Proves that the decks of input/ are valid and have the published settings.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <map>

#include "bovila/config/dump.h"
#include "tests/unit/config/helpers.h"

namespace bovila {
namespace {

const std::filesystem::path kInput = BOVILA_SOURCE_DIR "/input";

Deck read(const std::string& name) {
  return parse_deck(testing::read_text(kInput / name), name);
}

TEST_CASE("each deck of input/ is valid, has no warning, and survives being written and read") {
  int num_decks = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kInput)) {
    if (entry.path().extension() != ".toml") continue;
    CAPTURE(entry.path().string());
    const Deck deck = read(entry.path().filename().string());
    // What is only scored is trained on nowhere, and says so in the way of one split for both.
    const bool is_only_scored =
        deck.config.data.dataset == "egoschema" || deck.config.data.dataset == "mvbench";
    CHECK(deck.warnings.size() == (is_only_scored ? 1 : 0));
    CHECK(parse_deck(deck.resolved, "resolved").resolved == deck.resolved);
    CHECK(deck.config.output.folder == "output/" + entry.path().stem().string());
    ++num_decks;
  }
  CHECK(num_decks >= 14);
}

TEST_CASE("the decks of Flipped-VQA have its published settings") {
  struct Published {
    int64_t ranks, batch_size, accum_iter, max_seq_len;
    double bias, blr, weight_decay, vaq;
    bool subtitles;
  };
  const std::map<std::string, Published> published = {
      {"nextqa", {4, 8, 2, 128, 3.5, 9e-2, 0.14, 1, false}},
      {"star", {4, 8, 1, 128, 3, 9e-2, 0.16, 1, false}},
      {"dramaqa", {4, 2, 8, 384, 3, 9e-2, 0.10, 1, false}},
      {"vlep", {4, 4, 8, 256, 3, 6e-2, 0.20, 0, true}},
      {"tvqa", {8, 1, 4, 650, 3, 7e-2, 0.02, 1, true}}};
  for (const auto& [name, expected] : published) {
    CAPTURE(name);
    const std::string text = testing::read_text(kInput / "flipped" / (name + ".toml"));
    const Deck deck = parse_deck(text, name);
    const Config& config = deck.config;
    CHECK(deck.warnings.empty());
    CHECK(text.find(fmt::format("mpirun -np {} bovila input/flipped/{}.toml", expected.ranks,
                                name)) != std::string::npos);
    CHECK(config.output.folder == "output/flipped-" + name);
    CHECK(config.data.dataset == name);
    CHECK(config.data.subtitles == expected.subtitles);
    CHECK(config.train.epochs == 5);
    CHECK(config.train.warmup_epochs == 2);
    CHECK(config.train.batch_size == expected.batch_size);
    CHECK(config.train.accum_iter == expected.accum_iter);
    CHECK(config.train.blr == expected.blr);
    CHECK(config.train.weight_decay == expected.weight_decay);
    CHECK(config.model.max_seq_len == expected.max_seq_len);
    CHECK(config.model.max_feats == 10);
    CHECK(config.model.adapter_len == 10);
    CHECK(config.model.attention_bias == expected.bias);
    CHECK(config.loss.vaq == expected.vaq);
    CHECK(config.loss.qav == 1);
    CHECK(config.loss.qav_tau == 100);
    CHECK(config.loss.aqa == 0);
    CHECK(config.loss.edl_mse == 0);
  }
}

TEST_CASE("the decks of the five data sets have the published settings, TVQA's fits its prompts") {
  struct Published {
    int64_t max_seq_len, epochs;
    double vaq, aqa;
    bool subtitles;
    std::string val_split;
  };
  const std::map<std::string, Published> published = {
      {"star", {160, 10, 0.5, 0.25, false, "val"}},
      {"dramaqa", {256, 10, 0.3, 0.15, false, "val"}},
      {"vlep", {256, 10, 0.5, 0.25, true, "val"}},
      {"tvqa", {512, 5, 0.1, 0.05, false, "val"}},
      {"how2qa", {160, 3, 0.6, 0.3, false, "public_val"}}};
  for (const auto& [name, expected] : published) {
    CAPTURE(name);
    const Config config = read(name + ".toml").config;
    CHECK(config.model.llama == "data/llama/7B");
    CHECK(config.model.max_feats == 10);
    CHECK(config.model.max_seq_len == expected.max_seq_len);
    CHECK(config.model.adapter_len == 10);
    CHECK(config.model.adapter_layers == 0);  // all: 32 of 7B
    CHECK(config.model.attention_bias == 3.5);
    CHECK(config.data.dataset == name);
    CHECK(config.data.folder == "data/" + name);
    CHECK(config.data.features == "data/" + name + "/features");
    CHECK(config.data.train_split == "train");
    CHECK(config.data.val_split == expected.val_split);
    CHECK(config.data.subtitles == expected.subtitles);
    CHECK(config.train.epochs == expected.epochs);
    CHECK(config.train.batch_size == 8);
    CHECK(config.train.accum_iter == 2);
    CHECK(config.train.blr == 9e-2);
    CHECK_FALSE(config.train.lr.has_value());
    CHECK(config.train.min_lr == 0);
    CHECK(config.train.warmup_epochs == 2);
    CHECK(config.train.weight_decay == 0.14);
    CHECK(config.loss.vaq == expected.vaq);
    CHECK(config.loss.aqa == expected.aqa);
    CHECK(config.loss.edl_mse == 1);
    CHECK(config.loss.edl_reg == 1e-9);
    CHECK(config.loss.aqa_gate);
    CHECK_FALSE(config.loss.aqa_align);
    CHECK_FALSE(config.loss.train_scale_proj);
  }
}

TEST_CASE("the demo's decks differ in their objective, start values, clipping, epochs and output") {
  const Config demo = read("demo.toml").config;
  const Config published = read("demo-published.toml").config;
  const Config plain = read("demo-plain.toml").config;
  CHECK(demo.loss.uncertainty == UncertaintySource::kSoftmax);
  CHECK(demo.loss.gates_aqa());
  CHECK(demo.train.epochs == 10);
  CHECK(published.loss.edl_mse == 1);
  CHECK(published.loss.aqa_gate);
  CHECK(published.train.epochs == 20);
  CHECK(plain.loss.edl_mse == 0);
  CHECK_FALSE(plain.loss.aqa_gate);
  CHECK(plain.train.epochs == 10);
  for (const Config& other : {demo, published}) {
    Config same = plain;
    same.loss = other.loss;
    same.model.scale_proj_seed = other.model.scale_proj_seed;  // read by EDL alone
    same.model.init_std = other.model.init_std;
    same.train.epochs = other.train.epochs;
    same.train.clip_norm = other.train.clip_norm;  // what EDL's outliers need
    same.output.folder = other.output.folder;
    CHECK(to_toml(same) == to_toml(other));
  }
}

TEST_CASE("the published demo departs from the published objective by nothing") {
  Config published = read("demo-published.toml").config;
  published.loss.edl_reg = LossConfig().edl_reg;
  Config defaults;
  CHECK(published.loss.vaq == defaults.loss.vaq);
  CHECK(published.loss.aqa == defaults.loss.aqa);
  defaults = published;
  defaults.loss = LossConfig();
  CHECK(to_toml(published) == to_toml(defaults));
}

}  // namespace
}  // namespace bovila
