// The rule is in three lists of keys; the rest is bookkeeping.
#include "bovila/checkpoint/answers_fit.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <span>
#include <type_traits>
#include <variant>

#include "bovila/config/dump.h"
#include "bovila/config/keys.h"
#include "bovila/core/error.h"
#include "bovila/core/log.h"

namespace bovila {
namespace {

/// Keys, and with a dot at the end tables, that leave a trained model's answers as they are.
constexpr std::string_view kNotOfAnswers[] = {
    "train.", "run.", "output.", "checkpoint.", "eval.",
    // Start values: the checkpoint has what became of them.
    "model.init_std", "model.attention_bias", "model.scale_proj_seed",
    // Of the training's terms; without loss.edl_mse scale_proj gives no uncertainty.
    "loss.vaq", "loss.aqa", "loss.qav", "loss.qav_tau", "prompt.vaq", "prompt.qav", "loss.edl_reg",
    "loss.edl_ce", "loss.aqa_gate", "loss.gate_gradient", "loss.aqa_gradient",
    "loss.aqa_warmup_epochs", "loss.aqa_align", "loss.train_scale_proj", "loss.tokens_at_once",
    "model.recompute_activations",
    // Where files lie; what is in them is compared.
    "model.llama", "model.tokenizer", "data.folder", "data.features",
    // What is asked, said by the command; what is left out is said beside the result.
    "data.train_split", "data.val_split", "data.over_long", "data.max_missing"};

/// What the shapes of trained parameters follow from.
constexpr std::string_view kShapes[] = {"model.max_feats", "model.adapter_len",
                                        "model.adapter_layers"};

constexpr const char* kSplit = "data.val_split";
constexpr std::string_view kContentsOfAnswers[] = {"model.llama", "model.tokenizer",
                                                   "data.features", kSplit};

bool has(std::span<const std::string_view> list, std::string_view key) {
  return std::ranges::find(list, key) != list.end();
}

void copy_value(const Key& key, Config& from, Config& to) {
  std::visit(
      [](auto* target, auto* source) {
        if constexpr (std::is_same_v<decltype(target), decltype(source)>) *target = *source;
      },
      key.field(to), key.field(from));
}

bool is_open(const Key& key, const Deck& deck) {
  if (deck.overridden.contains(key.path)) return false;
  const bool is_auto =
      key.path == "model.precision" && deck.config.model.precision == Precision::kAuto;
  return is_auto || has(kShapes, key.path) || !deck.given.contains(key.path);
}

std::string value_in(const KeyValues& values, const std::string& key) {
  const auto found = values.find(key);
  return found == values.end() ? "" : found->second;
}

}  // namespace

bool changes_answers(std::string_view key) {
  return std::ranges::none_of(kNotOfAnswers, [&](std::string_view entry) {
    return entry.ends_with('.') ? key.starts_with(entry) : key == entry;
  });
}

std::vector<std::string> take_open_settings(const std::string& saved_toml,
                                            const std::string& source, Deck& deck) {
  Config saved = parse_deck(saved_toml, source).config;
  std::vector<std::string> taken;
  Config filled = deck.config;
  for (const Key& key : keys()) {
    if (!changes_answers(key.path) && key.path != kSplit) continue;
    const std::string before = value_text(key, filled), now = value_text(key, saved);
    if (before == now || !is_open(key, deck)) continue;
    copy_value(key, saved, filled);
    taken.push_back(fmt::format("{} = {} (the deck: {})", key.path, now, before));
  }
  if (taken.empty()) return taken;
  const Deck whole = parse_deck(to_toml(filled), "the deck with the settings of " + source);
  deck.config = whole.config;
  deck.resolved = whole.resolved;
  return taken;
}

std::vector<Difference> compare_answers(const RunIdentity& saved, const RunIdentity& current) {
  const Fit decks = compare_decks(saved.deck, current.deck);
  const KeyValues now = flatten_deck(current.deck, "the resolved deck");
  std::vector<Difference> differences, all = decks.forbidden;
  all.insert(all.end(), decks.allowed.begin(), decks.allowed.end());
  const auto differs = [&](std::string_view key) {
    return std::ranges::count(all, key, &Difference::key) > 0;
  };
  const bool cuts = differs("data.subtitles") || value_in(now, "data.subtitles") == "true";
  for (const Difference& difference : all) {
    if (!changes_answers(difference.key)) continue;
    if (difference.key == "model.max_seq_len" && !cuts) continue;
    differences.push_back(difference);
  }
  std::ranges::sort(differences, {}, &Difference::key);
  for (const std::string_view name : kContentsOfAnswers) {
    const std::string key(name);
    const std::string before = value_in(saved.identity, key),
                      after = value_in(current.identity, key);
    if (before.empty() || after.empty() || before == after) continue;
    if (key == kSplit && differs(kSplit)) continue;
    differences.push_back({key + " (contents)", before, after});
  }
  return differences;
}

std::vector<std::string> require_same_answers(const std::string& checkpoint,
                                              const RunIdentity& saved, const RunIdentity& current,
                                              bool despite) {
  std::vector<std::string> texts;
  for (const Difference& difference : compare_answers(saved, current)) {
    texts.push_back(difference.text());
  }
  if (!despite && !texts.empty()) {
    throw UserError(
        "{}: with other settings or files than it was trained with it gives other answers:\n  {}\n"
        "Give the old ones, or say --despite-differences to have it answer with these",
        checkpoint, fmt::join(texts, "\n  "));
  }
  for (const std::string& text : texts) {
    log::warn("other answers than those of the run: {}", text);
  }
  return texts;
}

}  // namespace bovila
