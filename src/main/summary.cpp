// Texts that can be typed as they stand: paths are quoted for a shell.
#include "src/main/summary.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "bovila/checkpoint/checkpoint.h"
#include "bovila/config/dump.h"
#include "bovila/config/keys.h"

namespace bovila {
namespace {

namespace fs = std::filesystem;

/// A word for a shell, in quotes where it needs them.
std::string typed(const std::string& word) {
  const auto is_plain = [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("/._-+=:,@%").find(c) != std::string::npos;
  };
  if (!word.empty() && std::ranges::all_of(word, is_plain)) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

/// The report as it is called beside this program: of an installation, or of a working tree.
std::string report_tool() {
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
  const bool is_installed = fs::exists(program.parent_path() / "bovila-report", ignored);
  return is_installed ? "bovila-report" : "tools/report";
}

/// What asks the model that was trained or scored: with the settings that make it, and its place.
std::string answer_command(const CommandLine& line, const Config& config) {
  std::string command = "bovila answer " + typed(line.deck);
  std::string place = line.start.eval ? line.start.resume : "";
  for (const std::string& setting : line.overrides) {
    if (setting.starts_with("model.") || setting.starts_with("data.") ||
        setting.starts_with("train.start")) {
      command += " --set " + typed(setting);
    } else if (setting.starts_with("output.folder") && place.empty()) {
      place = config.output.folder;
    }
  }
  if (!place.empty()) command += " --resume " + typed(place);
  return command + " --video NAME --question TEXT --option TEXT --option TEXT";
}

std::vector<std::string> changed_settings(const Config& config) {
  std::vector<std::string> changed;
  for (const Key& key : keys()) {
    if (key.required || key.text != Text::kWord) continue;
    const std::string value = value_text(key, config);
    if (value != value_text(key, Config{}))
      changed.push_back(fmt::format("{} = {}", key.path, value));
  }
  return changed;
}

}  // namespace

std::vector<std::string> opening_lines(const CommandLine& line, const Config& config) {
  constexpr size_t kMaxShown = 6;
  const auto changed = changed_settings(config);
  const bool is_short = changed.size() <= kMaxShown;
  return {fmt::format("{}: {}, results go to {}{}", line.deck, config.data.dataset,
                      config.output.folder,
                      line.start.eval ? "" : ", all settings are in its config.json"),
          is_short && !changed.empty()
              ? fmt::format("settings beside the defaults: {}", fmt::join(changed, ", "))
              : fmt::format("{} keys are not at their defaults", changed.size())};
}

std::vector<std::string> closing_lines(const CommandLine& line, const Config& config,
                                       const std::string& accuracy, const BestEvaluation& best,
                                       int64_t last_step) {
  const std::string folder = config.output.folder;
  const auto checkpoint = [&](int64_t step) {
    return checkpoint_folder("checkpoints", step).string();
  };
  std::error_code ignored;
  const bool is_trained = last_step >= 0 || !line.start.resume.empty() ||
                          !config.train.start.empty() ||
                          fs::exists(fs::path(folder) / "checkpoints", ignored);
  std::string where = "eval.json, questions.jsonl";
  if (last_step >= 0) {
    where =
        fmt::format("log.txt (a line an epoch), metrics.jsonl (a line a step), questions.jsonl, {}",
                    checkpoint(last_step));
  }
  return {fmt::format("results are in {}: {}", folder, where),
          fmt::format("accuracy {}{}", accuracy,
                      best.step >= 0
                          ? fmt::format("; best was {:.2f} % at step {}, kept as {}",
                                        100 * best.accuracy, best.step, checkpoint(best.step))
                          : ""),
          fmt::format("next: {} {} (a page for a browser){}", report_tool(), typed(folder),
                      is_trained ? "; " + answer_command(line, config) : "")};
}

}  // namespace bovila
