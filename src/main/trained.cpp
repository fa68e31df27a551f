// The one place where a checkpoint's word is held against the deck's.
#include "src/main/trained.h"

#include "bovila/checkpoint/answers_fit.h"
#include "bovila/checkpoint/published.h"
#include "bovila/config/dump.h"
#include "bovila/config/keys.h"
#include "bovila/core/error.h"
#include "bovila/core/log.h"
#include "bovila/train/identity.h"

namespace bovila {
namespace {

/// How the questions are asked, where that is otherwise than in training. A record of an earlier
/// bovila has none of this, and stays of the same evaluation.
void add_questions(const Config& config, EvalRecord& record) {
  record.eval = config.eval;
  const auto add = [&](const char* name) {
    record.settings[name] = value_text(*find_key(name), config);
  };
  if (config.eval.video != VideoShown::kTrue) add("eval.video");
  if (config.eval.options != OptionTurns::kGiven) add("eval.options");
  if (config.eval.temperature != 1) add("eval.temperature");
  const bool is_random =
      config.eval.video == VideoShown::kShuffled || config.eval.video == VideoShown::kOther;
  if (is_random) add("train.seed");
}

}  // namespace

void refuse_probe(const Config& config, std::string_view doing) {
  if (!config.eval.is_probe()) return;
  const bool is_of_video = config.eval.video != VideoShown::kTrue;
  throw UserError(
      "eval.{} = \"{}\" asks other questions than the data set's: expected with --eval alone, and "
      "{}; give it with --eval --set, not in the deck",
      is_of_video ? "video" : "options",
      is_of_video ? to_string(config.eval.video) : to_string(config.eval.options), doing);
}

void take_open(const Checkpoint& checkpoint, Deck& deck) {
  const std::string& saved = checkpoint.state.deck;
  if (saved.empty()) return;
  for (const std::string& text : take_open_settings(saved, checkpoint.folder.string(), deck)) {
    log::info("as the checkpoint was trained: {}", text);
  }
}

std::vector<std::string> compare_with_training(const Checkpoint& checkpoint,
                                               const RunIdentity& current, const Config& config,
                                               bool despite) {
  const std::string path = checkpoint.folder.string();
  const TrainState& state = checkpoint.state;
  if (!state.deck.empty()) {
    return require_same_answers(path, {state.deck, state.identity}, current, despite);
  }
  auto differences = compare_published_args(path, config);
  for (const std::string& text : differences) log::warn("{}: {}", path, text);
  return differences;
}

EvalRecord make_record(const std::optional<Checkpoint>& checkpoint, const RunIdentity& current,
                       const Config& config, bool despite) {
  EvalRecord record;
  record.deck = current.deck;
  record.identity = current.identity;
  record.build = current.build;
  record.num_ranks = current.num_ranks;
  const bool has_start_values = !checkpoint || checkpoint->is_published;
  for (const auto& [key, value] : flatten_deck(current.deck, "the resolved deck")) {
    const bool is_of_start = key == "train.seed" || key.starts_with("model.");
    const bool counts = changes_answers(key) || key == "data.val_split";
    const bool is_path = key == "model.llama" || key == "model.tokenizer";
    if (counts || (has_start_values && is_of_start && !is_path)) record.settings[key] = value;
  }
  add_questions(config, record);
  if (!checkpoint) return record;
  record.checkpoint = checkpoint->folder.string();
  record.contents =
      file_identity(checkpoint->is_published ? record.checkpoint
                                             : (checkpoint->folder / "manifest.json").string());
  if (const std::string& deck = checkpoint->state.deck; !deck.empty()) {
    record.step = checkpoint->state.step;
    const KeyValues saved = flatten_deck(deck, record.checkpoint);
    if (const auto split = saved.find("data.val_split");
        split != saved.end() && split->second != record.settings["data.val_split"]) {
      log::info("scoring the split {}, in the run it was {}", record.settings["data.val_split"],
                split->second);
    }
  }
  record.differences = compare_with_training(*checkpoint, current, config, despite);
  return record;
}

}  // namespace bovila
