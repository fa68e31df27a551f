// What a trained model is asked under: taken from its checkpoint, refused, or warned of.
#include "bovila/checkpoint/answers_fit.h"

#include <doctest/doctest.h>

#include "bovila/config/keys.h"
#include "tests/unit/config/helpers.h"

using namespace bovila;
using namespace bovila::testing;

namespace {

Deck deck_with(const std::string& more, const std::vector<std::string>& overrides = {}) {
  return parse_deck(kMinimal + more, "d.toml", overrides);
}

std::string saved_with(const std::string& more) {
  return deck_with(more).resolved;
}

using Texts = std::vector<std::string>;

Texts differences_of(const RunIdentity& saved, const RunIdentity& current) {
  Texts texts;
  for (const Difference& difference : compare_answers(saved, current)) {
    texts.push_back(difference.text());
  }
  return texts;
}

}  // namespace

TEST_CASE("settings that change answers are those of prompts, shapes, precision and uncertainty") {
  Texts names;
  for (const Key& key : keys()) {
    if (changes_answers(key.path)) names.emplace_back(key.path);
  }
  for (const char* name : {"model.precision", "model.max_feats", "model.max_seq_len",
                           "model.adapter_len", "model.adapter_layers", "data.dataset",
                           "data.subtitles", "loss.edl_mse", "loss.uncertainty"}) {
    CAPTURE(name);
    CHECK(std::ranges::count(names, name) == 1);
  }
  for (const char* name :
       {"train.lr", "run.threads_per_rank", "output.folder", "eval.batch_size", "loss.aqa",
        "loss.edl_ce", "loss.gate_gradient", "loss.aqa_gradient", "loss.aqa_warmup_epochs",
        "model.llama", "data.features", "data.val_split"}) {
    CAPTURE(name);
    CHECK_FALSE(changes_answers(name));
  }
  CHECK(changes_answers("data.a_key_of_tomorrow"));
}

TEST_CASE("what a deck leaves open is taken from the checkpoint, and said") {
  const std::string saved = saved_with(
      "model.adapter_len = 5\nmodel.max_feats = 6\nmodel.precision = \"bf16\"\n"
      "model.max_seq_len = 99\ntrain.lr = 0.5\ndata.val_split = \"test\"\nloss.edl_mse = 2\n");
  Deck deck = deck_with("model.adapter_len = 10\nmodel.precision = \"auto\"\nloss.edl_mse = 3\n");
  CHECK(take_open_settings(saved, "step-1", deck) ==
        Texts{"model.precision = \"bf16\" (the deck: \"auto\")",
              "model.max_feats = 6 (the deck: 10)", "model.max_seq_len = 99 (the deck: 160)",
              "model.adapter_len = 5 (the deck: 10)",
              "data.val_split = \"test\" (the deck: \"val\")"});
  CHECK(deck.config.model.adapter_len == 5);
  CHECK(deck.config.loss.edl_mse == 3);  // the file says it
  CHECK_FALSE(deck.config.train.lr);
  CHECK(contains(deck.resolved, "adapter_len = 5\n"));
  CHECK(take_open_settings(saved, "step-1", deck).empty());
}

TEST_CASE("an override is never replaced") {
  Deck deck = deck_with("", {"model.adapter_len=7", "model.precision=fp32"});
  const std::string saved = saved_with("model.adapter_len = 5\nmodel.precision = \"bf16\"\n");
  CHECK(take_open_settings(saved, "step-1", deck).empty());
  CHECK(differences_of({saved, {}}, {deck.resolved, {}}) ==
        Texts{"model.adapter_len: 5 in the checkpoint, 7 now",
              "model.precision: 'bf16' in the checkpoint, 'fp32' now"});
}

TEST_CASE("settings that do not go together are an error that names the checkpoint") {
  Deck deck = deck_with("model.max_seq_len = 20\n");
  const std::string saved = saved_with("model.max_feats = 30\nmodel.max_seq_len = 99\n");
  const std::string message = error_of([&] { take_open_settings(saved, "step-1", deck); });
  CHECK(contains(message, "the deck with the settings of step-1:"));
  CHECK(contains(message, "model.max_feats must be less than model.max_seq_len, got 30 and 20"));
  CHECK(contains(error_of([&] { take_open_settings("[", "step-1", deck); }), "step-1:1:"));
}

TEST_CASE("a longer prompt only makes a difference where dialogues are cut") {
  const auto vlep = [](const std::string& more) {
    std::string text = saved_with("");
    const std::string star = "dataset = \"star\"";
    text.replace(text.find(star), star.size(), "dataset = \"vlep\"");
    Deck deck = parse_deck(text, "d.toml");
    return parse_deck(deck.resolved, "d.toml", {more}).resolved;
  };
  CHECK(differences_of({saved_with("model.max_seq_len = 99\n"), {}}, {saved_with(""), {}}).empty());
  const auto cut = differences_of(
      {vlep("data.subtitles=true"), {}},
      {parse_deck(vlep("data.subtitles=true"), "d.toml", {"model.max_seq_len=99"}).resolved, {}});
  CHECK(cut == Texts{"model.max_seq_len: 160 in the checkpoint, 99 now"});
  CHECK(differences_of({vlep("data.subtitles=true"), {}}, {vlep("data.subtitles=false"), {}}) ==
        Texts{"data.subtitles: true in the checkpoint, false now"});
}

TEST_CASE("contents are compared where both sides know them, questions only of the same split") {
  const KeyValues before = {{"model.llama", "1 a"},
                            {"data.train_split", "2 b"},
                            {"data.val_split", "3 c"},
                            {"data.features", "4 d"}};
  const KeyValues now = {{"model.llama", "1 x"},
                         {"model.tokenizer", "5 e"},
                         {"data.val_split", "3 y"},
                         {"data.features", "4 d"}};
  CHECK(differences_of({saved_with(""), before}, {saved_with(""), now}) ==
        Texts{"model.llama (contents): 1 a in the checkpoint, 1 x now",
              "data.val_split (contents): 3 c in the checkpoint, 3 y now"});
  CHECK(
      differences_of({saved_with(""), before}, {saved_with("data.val_split = \"test\"\n"), now}) ==
      Texts{"model.llama (contents): 1 a in the checkpoint, 1 x now"});
}

TEST_CASE("differences are an error that lists them, or warnings when that is asked for") {
  const RunIdentity saved{saved_with(""), {{"model.llama", "1 a"}}};
  const RunIdentity current{saved_with("model.precision = \"bf16\"\n"), {{"model.llama", "1 b"}}};
  CHECK(error_of([&] { require_same_answers("step-1", saved, current, false); }) ==
        "step-1: with other settings or files than it was trained with it gives other answers:\n"
        "  model.precision: 'auto' in the checkpoint, 'bf16' now\n"
        "  model.llama (contents): 1 a in the checkpoint, 1 b now\n"
        "Give the old ones, or say --despite-differences to have it answer with these");
  CHECK(require_same_answers("step-1", saved, current, true).size() == 2);
  CHECK(require_same_answers("step-1", saved, saved, false).empty());
}
