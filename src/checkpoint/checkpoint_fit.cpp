// Deck against deck. Texts are compared, not meanings: both decks are resolved, by one printer.
#include "bovila/checkpoint/checkpoint_fit.h"

#include <algorithm>
#include <charconv>
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
    "train.non_finite", "train.max_skipped_steps",
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

/// Micro-batches of a step over all ranks; none for a value that no run has written.
std::optional<int64_t> micro_batches(const std::string& accum_iter, int64_t num_ranks) {
  int64_t count = 0;
  const char* end = accum_iter.data() + accum_iter.size();
  const auto parsed = std::from_chars(accum_iter.data(), end, count);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  if (__builtin_mul_overflow(count, num_ranks, &count)) return std::nullopt;
  return count;
}

/// Fewer ranks with as many more micro-batches form the same micro-batches and steps: that
/// train.accum_iter may change.
void allow_same_steps(const TrainState& saved, const RunIdentity& current, Fit& fit) {
  const auto found = std::ranges::find(fit.forbidden, "train.accum_iter", &Difference::key);
  if (found == fit.forbidden.end()) return;
  const auto before = micro_batches(found->saved, saved.num_ranks);
  if (!before || before != micro_batches(found->current, current.num_ranks)) return;
  fit.allowed.push_back(std::move(*found));
  fit.forbidden.erase(found);
}

}  // namespace

std::vector<Difference> require_fit(const std::string& folder, const TrainState& saved,
                                    const RunIdentity& current) {
  Fit fit = compare_decks(saved.deck, current.deck);
  allow_same_steps(saved, current, fit);
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
      "{}: this checkpoint is of another run:{}\nGive the old values, or start over with --fresh "
      "or another output.folder",
      folder, lines);
}

}  // namespace bovila
