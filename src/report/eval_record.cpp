// An object of JSON, and the two of its parts that must not change unnoticed.
#include "bovila/report/eval_record.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace bovila {
namespace {

using nlohmann::ordered_json;

ordered_json read_object(const std::filesystem::path& path) {
  std::ifstream file(path);
  auto json = ordered_json::parse(file, nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? json : ordered_json::object();
}

ordered_json part(const ordered_json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_object() ? *found : ordered_json::object();
}

/// The first entry that two objects do not have alike, "model.precision: bf16 before, fp32 now".
std::string first_difference(const ordered_json& before, const ordered_json& now) {
  for (const auto& [key, value] : before.items()) {
    const auto found = now.find(key);
    const std::string other = found == now.end() ? "none" : found->dump();
    if (other != value.dump()) return fmt::format("{}: {} then, {} now", key, value.dump(), other);
  }
  for (const auto& [key, value] : now.items()) {
    if (!before.contains(key)) return fmt::format("{}: none then, {} now", key, value.dump());
  }
  return "";
}

ordered_json to_json(const TurnedAnswers& turns) {
  ordered_json entry = {{"questions", turns.questions},
                        {"consistent", turns.consistent},
                        {"majority_right", turns.majority_right},
                        {"letter_bias", turns.letter_bias()},
                        {"recall_deviation", turns.recall_deviation()}};
  for (const auto& letter : turns.letters) {
    entry["letters"].push_back(
        {{"chosen", letter.chosen}, {"right", letter.right}, {"asked", letter.asked}});
  }
  return entry;
}

}  // namespace

std::string to_text(const EvalRecord& record, const Accuracy& result) {
  ordered_json checkpoint = {{"path", record.checkpoint}, {"contents", record.contents}};
  if (record.step >= 0) checkpoint["step"] = record.step;
  ordered_json numbers = {{"mean_uncertainty", result.mean_uncertainty}};
  if (result.known()) {
    numbers["right"] = result.total.right;
    numbers["questions"] = result.total.questions;
    numbers["accuracy"] = result.total.value();
  }
  if (const auto probes = probe_lines(record.eval, result); !probes.empty()) {
    numbers["probes"] = probes;
  }
  if (result.turned) numbers["turned"] = to_json(*result.turned);
  const ordered_json all = {{"result", numbers},
                            {"checkpoint", checkpoint},
                            {"settings", record.settings},
                            {"contents", record.identity},
                            {"differences", record.differences},
                            {"ranks", record.num_ranks},
                            {"build", record.build},
                            {"deck", record.deck}};
  return all.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::optional<std::string> other_evaluation(const std::filesystem::path& folder,
                                            const std::string& text) {
  if (!std::filesystem::exists(folder / "eval.json")) return std::nullopt;
  const ordered_json before = read_object(folder / "eval-record.json");
  const ordered_json now = ordered_json::parse(text);
  if (before.empty()) return "eval.json has no eval-record.json that says what it is of";
  for (const char* name : {"settings", "contents"}) {
    const std::string difference = first_difference(part(before, name), part(now, name));
    if (!difference.empty()) return difference;
  }
  return std::nullopt;
}

}  // namespace bovila
