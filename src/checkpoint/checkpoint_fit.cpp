// Deck against deck. Texts are compared, not meanings: both decks are resolved, by one printer.
#include "bovila/checkpoint/checkpoint_fit.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <optional>
#include <set>
#include <sstream>

#include "bovila/config/dump.h"
#include "bovila/config/toml.h"
#include "bovila/core/error.h"

namespace bovila {
namespace {

constexpr const char* kNotSet = "not set";

/// Keys that may change, and with a dot at the end tables. Every other key may not.
constexpr std::string_view kMayChange[] = {
    // Length, and what is only looked at.
    "train.epochs", "data.val_split", "eval.", "output.", "run.", "checkpoint.",
    // What happens when something goes wrong.
    "train.non_finite", "train.max_skipped_steps", "data.max_missing",
    // Where files lie; what is in them is compared by identity.
    "model.llama", "model.tokenizer", "data.folder", "data.features", "train.start",
    // The same numbers in less memory.
    "model.recompute_activations", "loss.tokens_at_once"};

constexpr std::string_view kIdentityMayChange[] = {"data.val_split"};

bool is_listed(std::string_view key, std::span<const std::string_view> list) {
  return std::ranges::any_of(list, [&](std::string_view entry) {
    return entry.ends_with('.') ? key.starts_with(entry) : key == entry;
  });
}

std::string to_text(const toml::node& node) {
  if (const auto* number = node.as_floating_point()) return float_text(number->get());
  std::ostringstream text;
  node.visit([&](const auto& value) { text << value; });
  return text.str();
}

void flatten(const toml::table& table, const std::string& prefix, KeyValues& values) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix + std::string(name.str());
    if (const toml::table* inner = node.as_table()) {
      flatten(*inner, key + ".", values);
    } else {
      values[key] = to_text(node);
    }
  }
}

std::string value_of(const KeyValues& values, const KeyValues& defaults, const std::string& key) {
  if (const auto found = values.find(key); found != values.end()) return found->second;
  const auto found = defaults.find(key);
  return found == defaults.end() ? kNotSet : found->second;
}

Fit compare(const KeyValues& saved, const KeyValues& current, const KeyValues& defaults,
            std::span<const std::string_view> may_change) {
  std::set<std::string> keys;
  for (const KeyValues* values : {&saved, &current}) {
    for (const auto& [key, value] : *values) keys.insert(key);
  }
  Fit fit;
  for (const std::string& key : keys) {
    Difference difference{key, value_of(saved, defaults, key), value_of(current, defaults, key)};
    if (difference.saved == difference.current) continue;
    (is_listed(key, may_change) ? fit.allowed : fit.forbidden).push_back(std::move(difference));
  }
  return fit;
}

}  // namespace

std::string Difference::text() const {
  return fmt::format("{}: {} in the checkpoint, {} now", key, saved, current);
}

KeyValues flatten_deck(std::string_view toml, const std::string& source) {
  KeyValues values;
  try {
    flatten(parse_toml(toml, source), "", values);
  } catch (const toml::parse_error& error) {
    throw UserError("{}: expected a deck, got what is not TOML: {}", source, error.description());
  }
  return values;
}

Fit compare_decks(std::string_view saved_toml, std::string_view current_toml) {
  const KeyValues defaults = flatten_deck(to_toml(Config{}), "the default deck");
  return compare(flatten_deck(saved_toml, "the checkpoint's deck.toml"),
                 flatten_deck(current_toml, "the resolved deck"), defaults, kMayChange);
}

Fit compare_identities(const KeyValues& saved, const KeyValues& current) {
  return compare(saved, current, {}, kIdentityMayChange);
}

namespace {

constexpr const char* kBatchSize = "train.batch_size";
constexpr const char* kAccumIter = "train.accum_iter";
constexpr const char* kQuestions = "train.questions_per_step";
constexpr const char* kAqa = "loss.aqa";

/// What a step is made of, by the text of a deck.
struct StepShape {
  double questions = 0;  ///< of a step on all ranks
  double batch_size = 0;
  double aqa = 0;         ///< its weight
  bool adds_aqa = false;  ///< over the questions of a micro-batch
};

double number_of(const KeyValues& values, const KeyValues& defaults, const std::string& key) {
  const std::string text = value_of(values, defaults, key);
  double number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
  return whole ? number : std::nan("");
}

StepShape step_shape(const std::string& deck, int64_t num_ranks) {
  const KeyValues values = flatten_deck(deck, "a deck");
  const KeyValues defaults = flatten_deck(to_toml(Config{}), "the default deck");
  const auto number = [&](const char* key) { return number_of(values, defaults, key); };
  StepShape shape;
  shape.batch_size = number(kBatchSize);
  shape.questions = number(kQuestions);
  if (shape.questions == 0) {
    shape.questions = shape.batch_size * number(kAccumIter) * static_cast<double>(num_ranks);
  }
  shape.aqa = number(kAqa);
  const bool has_uncertainty =
      number("loss.edl_mse") > 0 || value_of(values, defaults, "loss.uncertainty") == "'softmax'";
  shape.adds_aqa =
      value_of(values, defaults, "loss.aqa_gate") == "true" && shape.aqa > 0 && has_uncertainty;
  return shape;
}

/// Moves what leaves steps as they are to `fit.allowed`.
/// @return what would have to change besides, or "".
std::string allow_same_steps(const TrainState& saved, const RunIdentity& current, Fit& fit) {
  const auto is_of_steps = [](const Difference& difference) {
    return difference.key == kBatchSize || difference.key == kAccumIter ||
           difference.key == kQuestions || difference.key == kAqa;
  };
  const auto differs = [&](const char* key) {
    return std::ranges::count(fit.forbidden, key, &Difference::key) > 0;
  };
  if (!differs(kBatchSize) && !differs(kAccumIter) && !differs(kQuestions)) return "";
  const StepShape before = step_shape(saved.deck, saved.num_ranks);
  const StepShape now = step_shape(current.deck, current.num_ranks);
  if (before.questions != now.questions) return "";  // NaN too: a value that no run has written
  if (before.adds_aqa != now.adds_aqa) return "";
  const double aqa = now.adds_aqa ? before.aqa * before.batch_size / now.batch_size : before.aqa;
  if (std::abs(aqa - now.aqa) > 1e-9 * aqa) {
    if (!now.adds_aqa) return "";
    return fmt::format(
        "\nThe steps have the same questions, but with loss.aqa_gate a micro-batch adds up their "
        "AQA "
        "losses: the same steps have loss.aqa = {:.9g}",
        aqa);
  }
  std::ranges::copy_if(fit.forbidden, std::back_inserter(fit.allowed), is_of_steps);
  std::erase_if(fit.forbidden, is_of_steps);
  return "";
}

/// Where prompts have no dialogue to be cut and none is left out, each fits both limits, or the run
/// ends before it begins: model.max_seq_len may change.
void allow_other_limit(const TrainState& saved, const RunIdentity& current, Fit& fit) {
  const auto found = std::ranges::find(fit.forbidden, "model.max_seq_len", &Difference::key);
  if (found == fit.forbidden.end()) return;
  const KeyValues defaults = flatten_deck(to_toml(Config{}), "the default deck");
  const KeyValues decks[] = {flatten_deck(saved.deck, "the checkpoint's deck.toml"),
                             flatten_deck(current.deck, "the resolved deck")};
  for (const char* key : {"data.subtitles", "data.over_long"}) {
    for (const KeyValues& deck : decks) {
      if (value_of(deck, defaults, key) != defaults.at(key)) return;
    }
  }
  fit.allowed.push_back(std::move(*found));
  fit.forbidden.erase(found);
}

}  // namespace

std::vector<Difference> require_fit(const std::string& folder, const TrainState& saved,
                                    const RunIdentity& current) {
  Fit fit = compare_decks(saved.deck, current.deck);
  const std::string hint = allow_same_steps(saved, current, fit);
  allow_other_limit(saved, current, fit);
  Fit contents = compare_identities(saved.identity, current.identity);
  for (auto [from, to] : {std::pair(&contents.allowed, &fit.allowed),
                          std::pair(&contents.forbidden, &fit.forbidden)}) {
    for (Difference& difference : *from) {
      difference.key += " (contents)";
      to->push_back(std::move(difference));
    }
  }
  if (saved.num_ranks != current.num_ranks) {
    fit.allowed.push_back({"number of ranks", fmt::format("{}", saved.num_ranks),
                           fmt::format("{}", current.num_ranks)});
  }
  if (fit.forbidden.empty()) return fit.allowed;
  std::string lines;
  for (const Difference& difference : fit.forbidden) lines += "\n  " + difference.text();
  throw UserError(
      "{}: this checkpoint is of another run:{}{}\nGive the old values, or start over with --fresh "
      "or another output.folder",
      folder, lines, hint);
}

}  // namespace bovila
